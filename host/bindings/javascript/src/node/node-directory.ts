import { createHash } from 'node:crypto';
import {
  type BigIntStats, closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, readSync,
  readdirSync, renameSync, unlinkSync, writeFileSync,
} from 'node:fs';

import { type Directory, MAX_FILE_BYTES, conflict, pageOf, tooLarge } from '../core/directory.js';
import { MoatError } from '../core/error.js';
import { lockExclusively } from './lock.js';
import { readWhole, savedSince } from './unlocked.js';

const {
  O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY,
} = constants;

/** As it stands: without following a link, and without waiting for a FIFO's other end. */
const IN_PLACE = O_NOFOLLOW | O_NONBLOCK;

/** Whether it was said that a directory can't be synced. */
let warned = false;

const LOCK = '.moat.lock';

/** How the names of all temporary files begin; this host has one at a time. */
const TEMPORARY = '.moat.tmp';

/**
 * A directory on a Linux disk, opened once, by the rules that Moat's own host keeps: it belongs to
 * this user and nobody else may write in it; files are replaced whole, and writers take turns by a
 * lock.
 */
export class NodeDirectory implements Directory {
  readonly path: string;
  /** None: it was closed, and another file may have its number. */
  #handle: number | undefined;
  readonly #owner: number;
  readonly #lockTimeout: number;

  /** Opens a directory; a write waits at most `lockTimeout` seconds for other writers. */
  constructor(path: string, lockTimeout: number) {
    this.path = path;
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
      ? `others can write to the directory (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`
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
    const contents = readWhole(() => this.#reading(name, (file) =>
      ({ contents: contentsOf(file, name), modified: fstatSync(file).mtimeMs })));
    return contents === undefined ? {} : { file: { contents, revision: revisionOf(contents) } };
  }

  write(name: string, contents: Uint8Array, replaces?: string): { revision: string } {
    plain(name);
    if (contents.length > MAX_FILE_BYTES) {
      throw tooLarge(name);
    }
    this.#locked(() => {
      this.#expected(name, replaces, () => undefined);
      if (replaces === undefined && this.#status(name) !== undefined) {
        const quoted = JSON.stringify(name);
        throw new MoatError('conflict',
          `the file system doesn't distinguish ${quoted} from a file that exists`);
      }
      attempt(`writing ${JSON.stringify(name)}`, () => this.#replace(name, contents, replaces));
    });
    return { revision: revisionOf(contents) };
  }

  remove(name: string, expected?: string): { existed: boolean } {
    const path = this.#path(plain(name));
    const unlink = (): { existed: boolean } => {
      if (!this.#isNamed(name)) {
        return { existed: false };
      }
      try {
        unlinkSync(path);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') {
          return { existed: false };
        }
        throw error;
      }
      this.#sync();
      return { existed: true };
    };
    return this.#locked(() => attempt(`removing ${JSON.stringify(name)}`, () => {
      if (expected === undefined) {
        return unlink();
      }
      return this.#expected(name, expected, (before) => {
        const removed = unlink();
        this.#putBack(name, before, undefined);
        return removed;
      });
    }));
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

  /** Does this with a file, opened; nothing when there is no such file. */
  #reading<T>(name: string, work: (file: number) => T): T | undefined {
    const file = attempt(`reading ${JSON.stringify(name)}`, () => this.#open(name));
    if (file === undefined) {
      return undefined;
    }
    try {
      return work(file);
    } finally {
      closeSync(file);
    }
  }

  #open(name: string): number | undefined {
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
      if (this.#isNamed(name)) {
        this.#check(file, name);
        return file;
      }
    } catch (error) {
      closeSync(file);
      throw error;
    }
    closeSync(file);
    return undefined;
  }

  #check(file: number, name: string): void {
    const status = fstatSync(file);
    if (!status.isFile()) {
      throw refused(name, 'is not a regular file');
    }
    if (status.nlink > 1) {
      throw refused(name, 'has a second name (hard link)');
    }
    if (!this.#isNowhereElse(file, name)) {
      throw conflict(name);
    }
    if (status.uid !== this.#owner) {
      throw refused(name, 'belongs to another user');
    }
  }

  /**
   * Whether what was opened is this directory's alone. Its number of links doesn't show that: the name
   * may have been a hard link to a file elsewhere, and be gone since.
   */
  #isNowhereElse(file: number, name: string): boolean {
    const named = this.#status(name);
    return named && isOf(named, file)
      ? named.nlink <= 1n
      // A writer was faster: what was opened is whole, and has no name left.
      : fstatSync(file).nlink === 0;
  }

  /**
   * Whether the directory has this very name. If not, its file system takes another user's, in other
   * case, for the same.
   */
  #isNamed(name: string): boolean {
    const inOtherCase = name.replace(/[a-z]|([A-Z])/g, (letter, upper) =>
      upper ? letter.toLowerCase() : letter.toUpperCase());
    return this.#status(inOtherCase) === undefined || readdirSync(this.#path('.')).includes(name);
  }

  /** Whether this is the name of the very file that was opened. */
  #hasName(file: number, name: string): boolean {
    const named = this.#status(name);
    return named !== undefined && isOf(named, file);
  }

  #status(name: string): BigIntStats | undefined {
    return lstatSync(this.#path(name), { bigint: true, throwIfNoEntry: false });
  }

  /** Does this with the file of this revision, opened; with none, if there is to be none. */
  #expected<T>(
    name: string, revision: string | undefined, work: (before: Before | undefined) => T,
  ): T {
    // In an array, to tell that there was a file.
    const done = this.#reading(name, (file) => {
      const contents = contentsOf(file, name);
      if (revisionOf(contents) !== revision) {
        throw conflict(name);
      }
      return [work({ file, contents })];
    });
    if (done) {
      return done[0] as T;
    }
    if (revision !== undefined) {
      throw conflict(name);
    }
    return work(undefined);
  }

  /** Writes beside the file and renames: a crash leaves either the old or the new one. */
  #replace(name: string, contents: Uint8Array, replaces: string | undefined): void {
    const temporary = this.#path(TEMPORARY);
    const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | IN_PLACE, 0o600);
    try {
      writeFileSync(file, contents);
      fsyncSync(file);
      // Again: a program that takes no lock may have written while the disk was waited for.
      this.#expected(name, replaces, (before) => {
        if (!this.#hasName(file, TEMPORARY)) {
          throw conflict(name);
        }
        renameSync(temporary, this.#path(name));
        // First, since who has opened a file before it lost its name may take as long to write to it.
        this.#sync();
        this.#putBack(name, before, revisionOf(contents));
      });
    } catch (error) {
      this.#removeTemporaries();
      throw error;
    } finally {
      closeSync(file);
    }
  }

  /**
   * Puts back what a program that takes no lock has saved into a file in the moment in which it was
   * replaced by the revision `ours`, or removed, and throws a conflict.
   */
  #putBack(name: string, before: Before | undefined, ours: string | undefined): void {
    const saved = before && savedSince(before.contents, () => contentsOf(before.file, name));
    if (saved) {
      this.#replace(name, saved, ours);
      throw conflict(name);
    }
  }

  /** Makes changes to names durable, if the file system can do that to a directory. */
  #sync(): void {
    try {
      fsyncSync(this.#opened());
    } catch (error) {
      if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error) ?? '')) {
        throw error;
      }
      if (!warned) {
        warned = true;
        process.emitWarning(
          "the file system can't sync a directory: the last changes may be lost in a crash");
      }
    }
  }

  /** Does this as the only writer, after clearing away what a writer that crashed left. */
  #locked<T>(work: () => T): T {
    const end = performance.now() + this.#lockTimeout * 1000;
    for (let left = this.#lockTimeout; ; left = (end - performance.now()) / 1000) {
      const files = this.#openLocks();
      try {
        if (lockExclusively(...files, Math.max(left, 0)) && this.#hasName(files[0], LOCK)) {
          if (this.#status(TEMPORARY)) {
            attempt('removing what a crash left behind', () => this.#removeTemporaries());
          }
          return work();
        }
      } finally {
        files.forEach(closeSync);
      }
      if (performance.now() >= end) {
        const message = `another process holds the directory's lock (waited ${this.#lockTimeout} s)`;
        throw new MoatError('locked', message);
      }
    }
  }

  /**
   * The lock file and the directory itself: the file can be deleted or replaced while it is locked,
   * the directory is what all writers have in common whatever becomes of its files.
   */
  #openLocks(): [number, number] {
    return attempt('locking the directory', () => {
      const file = openSync(this.#path(LOCK), O_WRONLY | O_CREAT | IN_PLACE, 0o600);
      try {
        return [file, openSync(this.#path('.'), O_RDONLY | O_DIRECTORY)];
      } catch (error) {
        closeSync(file);
        throw error;
      }
    });
  }

  /** The first one goes last, since it is the one that the next writer looks for. */
  #removeTemporaries(): void {
    const left = readdirSync(this.#path('.')).filter((name) => name.startsWith(TEMPORARY));
    left.sort().reverse().forEach((name) => unlinkSync(this.#path(name)));
  }
}

/** A file that is about to be replaced, and what is in it. */
interface Before { file: number; contents: Uint8Array }

/** All that is in a file now. */
function contentsOf(file: number, name: string): Uint8Array {
  const buffer = new Uint8Array(MAX_FILE_BYTES + 1);
  let length = 0;
  attempt(`reading ${JSON.stringify(name)}`, () => {
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, length);
    }
  });
  if (length > MAX_FILE_BYTES) {
    throw tooLarge(name);
  }
  return buffer.slice(0, length);
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

/** Whether this is the status of an opened file; numbers are too short for all inodes. */
function isOf(status: BigIntStats, file: number): boolean {
  const { dev, ino } = fstatSync(file, { bigint: true });
  return status.dev === dev && status.ino === ino;
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
