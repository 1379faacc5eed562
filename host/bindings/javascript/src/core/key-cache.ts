import type { Slot } from '../generated/interfaces/fossawork-credentials-key-cache.js';

/** The size of a derived key. */
export const KEY_BYTES = 32;
/** The most characters of a slot's version and parameters together. */
export const NAME_CHARACTERS = 256;
/** The most keys that are kept. */
const CAPACITY = 1024;

/**
 * Derived keys between calls: bounded, each for a while, and zeroed when it goes. A slot names a
 * key by its place in the ring, so a cache is for one ring alone.
 */
export class KeyCache {
  readonly #lifetime: number;
  /** In the order in which they came. */
  readonly #keys = new Map<string, { material: Uint8Array; timer: Timer }>();

  /** Keeps each key for so many seconds; with 0 none is kept. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  /** The key in this slot, if it is still there. */
  lookup(slot: Slot): { material: Uint8Array } | undefined {
    return this.#keys.get(nameOf(slot));
  }

  /**
   * Keeps a key; the array is the cache's from now on. What is in a slot stays: no later call puts
   * another key there.
   */
  remember(slot: Slot, { material }: { material: Uint8Array }): void {
    const name = nameOf(slot);
    if (this.#lifetime <= 0 || this.#keys.has(name)) {
      material.fill(0);
      return;
    }
    const [oldest] = this.#keys.keys();
    if (oldest !== undefined && this.#keys.size >= CAPACITY) {
      this.#forget(oldest);
    }
    const milliseconds = this.#lifetime * 1000;
    const timer = setTimeout(() => this.#forget(name), milliseconds) as unknown as Timer;
    timer.unref?.();
    this.#keys.set(name, { material, timer });
  }

  /** Forgets all keys. */
  clear(): void {
    [...this.#keys.keys()].forEach((name) => this.#forget(name));
  }

  #forget(name: string): void {
    const key = this.#keys.get(name);
    key?.material.fill(0);
    clearTimeout(key?.timer as unknown as number);
    this.#keys.delete(name);
  }
}

/** In Node a timer would keep the process alive; in a browser it is a number. */
interface Timer {
  unref?: () => void;
}

function nameOf({ ringIndex, version, userId, parameters }: Slot): string {
  return JSON.stringify([ringIndex, version, userId ?? null, parameters]);
}
