import { createHash } from 'node:crypto';
import {
  closeSync, constants, existsSync, fstatSync, fsyncSync, openSync, readSync, readdirSync,
  renameSync, unlinkSync, writeFileSync,
} from 'node:fs';

import { type Directory, MAX_FILE_BYTES, conflict, pageOf, tooLarge } from '../core/directory.js';
import { MoatError } from '../core/error.js';
import { lockExclusively } from './lock.js';

const {
  O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY,
} = constants;

/** As it stands: without following a link, and without waiting for a FIFO's other end. */
const IN_PLACE = O_NOFOLLOW | O_NONBLOCK;

/** Where a file is written before it takes its name. */
const TEMPORARY = '.moat.tmp';

/**
 * A directory on a Linux disk, opened once, by the rules that Moat's own host keeps: it belongs to
 * this user and nobody else may write in it; files are replaced whole, and writers take turns by a
 * lock.
 */
export class NodeDirectory implements Directory {
  /** None: it was closed, and another file may have its number. */
  #handle: number | undefined;
  readonly #owner: number;
  readonly #lockTimeout: number;

  /** Opens a directory; a write waits at most `lockTimeout` seconds for other writers. */
  constructor(path: string, lockTimeout: number) {
    this.#lockTimeout = lockTimeout;
    const handle = attempt('opening the directory', () => openSync(path, O_RDONLY | O_DIRECTORY));
    const { uid, mode } = fstatSync(handle);
    this.#handle = handle;
    this.#owner = uid;
    const user = process.geteuid?.();
    if (uid === user && (mode & 0o022) === 0) {
      return;
    }
    this.close();
    throw new MoatError('directory', uid === user
      ? `others can write in the directory (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`
      : `the directory belongs to uid ${uid}, not to uid ${user}`);
  }

  /** Gives the directory back; it can't be used any more. */
  close(): void {
    if (this.#handle !== undefined) {
      closeSync(this.#handle);
      this.#handle = undefined;
    }
  }

  read(name: string): ReturnType<Directory['read']> {
    const contents = this.#contents(name);
    return contents === undefined ? {} : { file: { contents, revision: revisionOf(contents) } };
  }

  write(name: string, contents: Uint8Array, replaces?: string): { revision: string } {
    const path = this.#path(plain(name));
    if (contents.length > MAX_FILE_BYTES) {
      throw tooLarge(name);
    }
    this.#locked(() => {
      this.#expect(name, replaces);
      attempt(`writing ${JSON.stringify(name)}`, () => this.#replace(path, contents));
    });
    return { revision: revisionOf(contents) };
  }

  remove(name: string, expected?: string): { existed: boolean } {
    const path = this.#path(plain(name));
    return this.#locked(() => {
      if (expected !== undefined) {
        this.#expect(name, expected);
      }
      return attempt(`removing ${JSON.stringify(name)}`, () => {
        try {
          unlinkSync(path);
        } catch (error) {
          if (codeOf(error) === 'ENOENT') {
            return { existed: false };
          }
          throw error;
        }
        fsyncSync(this.#opened());
        return { existed: true };
      });
    });
  }

  names(cursor: string | undefined, limit: number): ReturnType<Directory['names']> {
    const names = attempt('listing the directory', () => readdirSync(this.#path('.'), 'buffer'));
    return pageOf(names.flatMap(decoded), cursor, limit);
  }

  /** The way to a name in the opened directory, wherever that was moved in the meantime. */
  #path(name: string): string {
    return `/proc/self/fd/${this.#opened()}/${name}`;
  }

  #opened(): number {
    if (this.#handle === undefined) {
      throw new MoatError('directory', 'the directory was closed');
    }
    return this.#handle;
  }

  /** A whole file; none when there is no such file. */
  #contents(name: string): Uint8Array | undefined {
    return attempt(`reading ${JSON.stringify(name)}`, () => {
      let file: number;
      try {
        file = openSync(this.#path(plain(name)), O_RDONLY | IN_PLACE);
      } catch (error) {
        switch (codeOf(error)) {
          case 'ENOENT': return undefined;
          case 'ELOOP': throw refused(name, 'is not a regular file, but a symbolic link');
          // A socket.
          case 'ENXIO': throw refused(name, 'is not a regular file');
          default: throw error;
        }
      }
      try {
        return this.#readFrom(file, name);
      } finally {
        closeSync(file);
      }
    });
  }

  #readFrom(file: number, name: string): Uint8Array {
    const status = fstatSync(file);
    if (!status.isFile()) {
      throw refused(name, 'is not a regular file');
    }
    if (status.nlink > 1) {
      throw refused(name, 'has a second name (hard link)');
    }
    if (status.uid !== this.#owner) {
      throw refused(name, 'belongs to another user');
    }
    const buffer = new Uint8Array(MAX_FILE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, null);
    }
    if (length > MAX_FILE_BYTES) {
      throw tooLarge(name);
    }
    return buffer.slice(0, length);
  }

  #expect(name: string, revision: string | undefined): void {
    const contents = this.#contents(name);
    if ((contents && revisionOf(contents)) !== revision) {
      throw conflict(name);
    }
  }

  /** Writes beside the file and renames: a crash leaves either the old or the new one. */
  #replace(path: string, contents: Uint8Array): void {
    const temporary = this.#path(TEMPORARY);
    const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | IN_PLACE, 0o600);
    try {
      try {
        writeFileSync(file, contents);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch (error) {
      unlinkSync(temporary);
      throw error;
    }
    fsyncSync(this.#opened());
  }

  /** Does this as the only writer, after clearing away what a writer that crashed left. */
  #locked<T>(work: () => T): T {
    const lock = attempt('locking the directory', () =>
      openSync(this.#path('.moat.lock'), O_RDWR | O_CREAT | IN_PLACE, 0o600));
    try {
      lockExclusively(lock, this.#lockTimeout);
      attempt('removing what a crash left behind', () => this.#removeTemporaries());
      return work();
    } finally {
      closeSync(lock);
    }
  }

  /** Moat's host writes many files at once, and numbers them. */
  #removeTemporaries(): void {
    const left = [];
    for (let path = this.#path(TEMPORARY); existsSync(path);) {
      left.unshift(path);
      path = this.#path(`${TEMPORARY}.${left.length}`);
    }
    left.forEach((path) => unlinkSync(path));
  }
}

/** The first half of the SHA-256 in hex, as Moat's own host has it. */
function revisionOf(contents: Uint8Array): string {
  return createHash('sha256').update(contents).digest('hex').slice(0, 32);
}

/** The component is not trusted to name only files of this directory. */
function plain(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw new MoatError('denied', `${JSON.stringify(name)} is not one plain file name`);
  }
  return name;
}

/** The name, if it is UTF-8; none other is a record's. */
function decoded(name: Uint8Array): string[] {
  try {
    return [new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name)];
  } catch {
    return [];
  }
}

/** What isn't read whatever is in it: that may well be a sound record. */
function refused(name: string, why: string): MoatError {
  return new MoatError('directory', `${JSON.stringify(name)} ${why}`);
}

/** Turns what the system refuses into the contract's failure. */
function attempt<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = codeOf(error);
    throw code === undefined || error instanceof MoatError
      ? error
      : new MoatError('directory', `${doing}: ${code}`, { cause: error });
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
