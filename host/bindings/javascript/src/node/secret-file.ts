/** Files that hold a key: who may have read them, and what an editor appends to them. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { text } from '../core/checks.js';
import { MoatError } from '../core/error.js';
import { isPrivate } from './private-file.js';

/** The longest key or ring, in bytes. */
export const MAX_SECRET_BYTES = 64 * 1024;

/** A file of this user or root that nobody else can access, as it is. */
export function readSecretFile(path: string): Uint8Array {
  text('path', path);
  return reading(path, (handle) => {
    const status = fstatSync(handle);
    const { mode, uid } = status;
    if (!isPrivate(path, status)) {
      const bits = (mode & 0o777).toString(8).padStart(4, '0');
      throw unusable(path, `others can read it (mode ${bits}); run: chmod 600 ${path}`);
    }
    if (uid !== 0 && uid !== process.geteuid?.()) {
      throw unusable(path, `it belongs to uid ${uid}, not to you or root`);
    }
  });
}

/** A file that systemd passed to this service; none: it passed none of this name. */
export function readSystemdCredential(what: string, path: string): Uint8Array | undefined {
  try {
    // Its mode shows an access control list, and nobody else can enter its directory.
    return reading(what, () => undefined, path);
  } catch (error) {
    if (error instanceof MoatError && isMissing(error.cause)) {
      return undefined;
    }
    throw error;
  }
}

/** Without one `\n` or `\r\n` at its end, as left by editors and `echo`. */
export function withoutLineBreak(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== 0x0a) {
    return bytes;
  }
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}

/** Why a source of keys can't be used. */
export function unusable(what: string, why: string, cause?: unknown): MoatError {
  return new MoatError('master-key-missing', `${what}: ${why}`, { cause });
}

function reading(what: string, check: (handle: number) => void, path = what): Uint8Array {
  let handle: number | undefined;
  try {
    handle = openSync(path, 'r');
    check(handle);
    const bytes = new Uint8Array(MAX_SECRET_BYTES + 1);
    let size = 0;
    for (let read = 1; read > 0 && size < bytes.length; size += read) {
      read = readSync(handle, bytes, size, bytes.length - size, null);
    }
    if (size > MAX_SECRET_BYTES) {
      throw unusable(what, 'too large for a secret');
    }
    return bytes.subarray(0, size);
  } catch (error) {
    throw error instanceof MoatError ? error : unusable(what, codeOf(error), error);
  } finally {
    if (handle !== undefined) {
      closeSync(handle);
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'it can\'t be read';
}

function isMissing(cause: unknown): boolean {
  return codeOf(cause) === 'ENOENT';
}
