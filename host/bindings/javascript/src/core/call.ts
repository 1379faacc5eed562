import type { Slot } from '../generated/interfaces/fossawork-credentials-key-cache.js';
import type { ImportObject } from '../generated/component.js';
import type { Directory } from './directory.js';
import { MoatError } from './error.js';
import { type Grant, SETTINGS } from './grant.js';
import { KEY_BYTES, type KeyCache, NAME_CHARACTERS } from './key-cache.js';
import type { KeyRing } from './keys.js';
import { faultOfRecord, faultOfSettings } from './write-policy.js';

/** What is behind the imports. */
export interface Host {
  readonly directory: Directory;
  readonly keys: KeyRing;
  readonly cache: Pick<KeyCache, 'lookup' | 'remember'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

/** The clock and the random bytes of the system. */
export const SYSTEM: Pick<Host, 'now' | 'random'> = {
  now: () => Date.now(),
  random: (length) => {
    try {
      return crypto.getRandomValues(new Uint8Array(length));
    } catch (error) {
      throw new MoatError('unavailable', 'the system gives no random bytes', { cause: error });
    }
  },
};

/** A file as it was last read or written. */
interface Seen {
  readonly contents: Uint8Array;
  readonly revision: string;
}

/** The most random bytes that the component may ask for at once. */
const MAX_RANDOM_BYTES = 1024n;

/**
 * One call: its grant, and the component's five imports, which check it every time.
 *
 * A failure that the component may handle is answered; an access beyond the grant aborts it. What
 * exactly it asked for is not repeated: the component chose it, and it may know a key.
 */
export class Call {
  readonly #host: Host;
  readonly #grant: Grant;
  readonly #seen = new Map<string, Seen>();

  constructor(host: Host, grant: Grant) {
    this.#host = host;
    this.#grant = grant;
  }

  /** The five imports. Under these names jco looks for them, whatever its declarations say. */
  imports(): ImportObject {
    const imports = {
      'fossawork:credentials/directory': {
        read: answering((name: string) => this.#read(name)),
        write: answering((name: string, contents: Uint8Array, replaces?: string) =>
          this.#write(name, contents, replaces)),
        remove: answering((name: string, expected?: string) => {
          this.#require(this.#grant.mayRemove(name), 'remove this file');
          return this.#host.directory.remove(name, expected);
        }),
        names: answering((cursor: string | undefined, limit: number) => {
          this.#require(this.#grant.has('list'), 'list the directory');
          return this.#host.directory.names(cursor, limit);
        }),
      },
      'fossawork:credentials/master-keys': {
        ring: answering(() => {
          this.#require(this.#grant.has('keys'), 'get the master keys');
          return { keys: this.#host.keys.provide() };
        }),
      },
      'fossawork:credentials/key-cache': {
        lookup: (slot: Slot) => this.#lookup(slot),
        remember: (slot: Slot, key: { material: Uint8Array }) => this.#remember(slot, key),
      },
      'wasi:clocks/wall-clock': { now: () => this.#now() },
      'wasi:random/random': { getRandomBytes: (length: bigint) => this.#random(length) },
    };
    return imports as unknown as ImportObject;
  }

  #read(name: string): ReturnType<Directory['read']> {
    this.#require(this.#grant.mayRead(name), 'read this file');
    const found = this.#host.directory.read(name);
    if (found.file === undefined) {
      this.#seen.delete(name);
    } else {
      this.#seen.set(name, found.file);
    }
    return found;
  }

  #write(name: string, contents: Uint8Array, replaces?: string): { revision: string } {
    this.#require(this.#grant.mayReplace(name), 'write this file');
    const seen = this.#seen.get(name);
    if (replaces !== undefined && replaces !== seen?.revision) {
      throw this.#aborted('it tried to replace a file that was not read');
    }
    const change = {
      contents,
      old: replaces === undefined ? undefined : seen?.contents,
      settings: this.#seen.get(SETTINGS)?.contents,
      labels: this.#host.keys.labels(),
      user: this.#grant.userOf(name),
      seconds: this.#host.now() / 1000,
    };
    const fault = name === SETTINGS ? faultOfSettings(change) : faultOfRecord(change);
    if (fault !== undefined) {
      const tried = 'it tried to write something that is not a record of this user';
      throw this.#aborted(`${tried}: ${fault}`);
    }
    const written = this.#host.directory.write(name, contents, replaces);
    this.#seen.set(name, { contents, revision: written.revision });
    return written;
  }

  #lookup(slot: Slot): { material: Uint8Array } | undefined {
    return this.#isKept(slot) ? this.#host.cache.lookup(slot) : undefined;
  }

  #remember(slot: Slot, key: { material: Uint8Array }): void {
    if (!this.#isKept(slot)) {
      key.material.fill(0);
      return;
    }
    // Otherwise a component could fill the memory, a little with each call.
    const isSmall = slot.version.length + slot.parameters.length <= NAME_CHARACTERS;
    if (key.material.length !== KEY_BYTES || !isSmall) {
      throw this.#aborted('it offered something that is not a derived key');
    }
    this.#host.cache.remember(slot, key);
  }

  /**
   * Whether the slot is one of the users' own. What is in a slot for all users would come from any
   * call and go to any other, so nothing is.
   */
  #isKept({ userId }: Slot): boolean {
    this.#require(this.#grant.mayUseKeysOf(userId), 'use this derived key');
    return userId !== undefined;
  }

  #now(): { seconds: bigint; nanoseconds: number } {
    const milliseconds = this.#host.now();
    const seconds = Math.floor(milliseconds / 1000);
    return { seconds: BigInt(seconds), nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 };
  }

  #random(length: bigint): Uint8Array {
    if (length > MAX_RANDOM_BYTES) {
      throw this.#aborted('it asked for too many random bytes at once');
    }
    return this.#host.random(Number(length));
  }

  #require(granted: boolean, asked: string): void {
    if (!granted) {
      throw this.#aborted(`it asked to ${asked}, which it was not granted`);
    }
  }

  #aborted(why: string): MoatError {
    return new MoatError('sandbox', `the component was aborted during ${this.#grant.name}: ${why}`);
  }
}

/** Throws failures as jco expects them, as the plain record; anything else aborts the component. */
function answering<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return work(...args);
    } catch (error) {
      const isAnswer = error instanceof MoatError && error.code !== 'sandbox';
      throw isAnswer ? { code: error.code, message: error.message } : error;
    }
  };
}
