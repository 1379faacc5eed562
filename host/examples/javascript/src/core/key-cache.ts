import type { Slot } from '../generated/interfaces/fossawork-credentials-key-cache.js';

/** Derived keys between calls: bounded, each for a while, and zeroed when it goes. */
export class KeyCache {
  readonly #capacity: number;
  readonly #lifetime: number;
  /** In the order in which they came. */
  readonly #keys = new Map<string, { material: Uint8Array; timer: Timer }>();

  /** At most `capacity` keys, each for `lifetime` milliseconds; with a capacity of 0, none. */
  constructor(capacity = 1024, lifetime = 5 * 60 * 1000) {
    this.#capacity = capacity;
    this.#lifetime = lifetime;
  }

  /** The key in this slot, if it is still there. */
  lookup(slot: Slot): { material: Uint8Array } | undefined {
    return this.#keys.get(nameOf(slot));
  }

  /** Keeps a key; the array is the cache's from now on. */
  remember(slot: Slot, { material }: { material: Uint8Array }): void {
    const name = nameOf(slot);
    this.#forget(name);
    const [oldest] = this.#keys.keys();
    if (oldest !== undefined && this.#keys.size >= this.#capacity) {
      this.#forget(oldest);
    }
    if (this.#capacity === 0) {
      material.fill(0);
      return;
    }
    const timer = setTimeout(() => this.#forget(name), this.#lifetime) as unknown as Timer;
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
