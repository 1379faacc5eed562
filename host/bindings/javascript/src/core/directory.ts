import { MoatError } from './error.js';

/** The largest file that is read or written, in bytes. */
export const MAX_FILE_BYTES = 64 * 1024;

/** The largest page of names. */
const MAX_NAMES = 4096;

/**
 * A flat directory, as the contract's `wit/directory.wit` asks for it. Failures are thrown as
 * `MoatError`. The component calls it synchronously.
 */
export interface Directory {
  /** Where it is, for failures to tell; none: it has no path. */
  readonly path?: string;
  /** Reads a whole file; none: there is no such file. */
  read(name: string): { file?: { contents: Uint8Array; revision: string } };
  /**
   * Writes a whole file in place of the one with the revision `replaces`; none: there must be no
   * file of this name. Fails with `conflict` when something else stands there.
   */
  write(name: string, contents: Uint8Array, replaces?: string): { revision: string };
  /** Removes a file. Fails with `conflict` unless its revision is the expected one; none: any. */
  remove(name: string, expected?: string): { existed: boolean };
  /**
   * The names after `cursor`, at most `limit` of them, in ascending order of the bytes of each without
   * a `.cred` at its end; of two that are the same then, the one without it first.
   */
  names(cursor: string | undefined, limit: number): { names: string[]; next?: string };
}

/** What stands there is not what was to be replaced or removed. */
export function conflict(name: string): MoatError {
  const message = `${JSON.stringify(name)} was changed by somebody else in between`;
  return new MoatError('conflict', message);
}

/** More than `MAX_FILE_BYTES`. */
export function tooLarge(name: string): MoatError {
  const message = `${JSON.stringify(name)} has more than the ${MAX_FILE_BYTES} bytes allowed`;
  return new MoatError('too-large', message);
}

/** A page of these names. */
export function pageOf(
  all: Iterable<string>,
  cursor: string | undefined,
  limit: number,
): { names: string[]; next?: string } {
  const sorted = [...all].sort(byPlace);
  const after = cursor === undefined
    ? sorted
    : sorted.filter((name) => byPlace(name, cursor) > 0);
  const names = after.slice(0, Math.min(Math.max(limit, 1), MAX_NAMES));
  const last = names.at(-1);
  return last === undefined || names.length === after.length ? { names } : { names, next: last };
}

/** The order of `Directory.names`, in which records are in the order of their users. */
function byPlace(one: string, other: string): number {
  const stem = (name: string) => name.endsWith('.cred') ? name.slice(0, -'.cred'.length) : name;
  return byBytes(stem(one), stem(other)) || one.length - other.length;
}

/**
 * The order of the UTF-8, which is that of the code points. JavaScript's own is that of UTF-16,
 * where surrogates come before U+E000.
 */
function byBytes(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) {
      return rank(a) - rank(b);
    }
  }
  return one.length - other.length;
}

/** Puts surrogates behind all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
