import { text } from './checks.js';
import { MoatError } from './error.js';

/** What the keys begin with that `moat keygen` makes. The component checks the rest. */
const STRONG_PREFIX = 'MOAT-MASTER-KEY-1';

/** A master key. */
export interface MasterKey {
  /**
   * Its bytes, or a text that stands for its UTF-8. Bytes can be wiped by their owner after they
   * were handed over; a string can't.
   */
  readonly material: Uint8Array | string;
  /** A label, which stands in the clear in the records; never derived from the key. */
  readonly id?: string | undefined;
}

/**
 * The keys of a vault: the first encrypts, all decrypt. A function is asked when a call first needs
 * a key, and not again.
 */
export type Keys = readonly MasterKey[] | (() => readonly MasterKey[]);

/** A key as the contract has it. */
interface ProvidedKey {
  id?: string;
  primary: boolean;
  material: Uint8Array;
}

/** Copies of the keys, which calls get and `wipe` zeroes. */
export class KeyRing {
  #source: (() => readonly MasterKey[]) | undefined;
  #keys: ProvidedKey[] = [];

  constructor(keys: Keys) {
    if (typeof keys === 'function') {
      this.#source = keys;
    } else {
      this.#keys = copiesOf(keys);
    }
  }

  /** The ring; empty when there is no master key. */
  provide(): ProvidedKey[] {
    if (this.#source !== undefined) {
      this.#keys = copiesOf(this.#source());
      this.#source = undefined;
    }
    return this.#keys;
  }

  /** The labels of the keys. */
  labels(): string[] {
    return this.#keys.flatMap(({ id }) => id ?? []);
  }

  /** Whether the key that encrypts is one that `moat keygen` made, of 256 random bits. */
  isStrong(): boolean {
    const prefix = new TextEncoder().encode(STRONG_PREFIX);
    const primary = this.provide()[0]?.material;
    return primary !== undefined && prefix.every((byte, place) => primary[place] === byte);
  }

  /** Zeroes the copies; from then on there is no key. */
  wipe(): void {
    this.#keys.forEach((key) => key.material.fill(0));
    this.#keys = [];
    this.#source = undefined;
  }
}

function copiesOf(keys: readonly MasterKey[]): ProvidedKey[] {
  return keys.map(({ material, id }, place) => {
    const key = { primary: place === 0, material: bytesOf(material) };
    return id === undefined ? key : { ...key, id: text('the id of a key', id) };
  });
}

/** A copy. Anything else than these two would become an empty key on its way to the component. */
function bytesOf(material: unknown): Uint8Array {
  if (typeof material === 'string' && material.isWellFormed()) {
    return new TextEncoder().encode(material);
  }
  if (material instanceof Uint8Array) {
    return new Uint8Array(material);
  }
  throw new MoatError('master-key-refused', 'a key is neither bytes nor a text that is Unicode');
}
