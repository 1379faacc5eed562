import { type Directory, MAX_FILE_BYTES, conflict, pageOf, tooLarge } from './directory.js';

/** A directory in memory, for where there is no disk. Each write has a revision of its own. */
export class MemoryDirectory implements Directory {
  readonly #files = new Map<string, { contents: Uint8Array; revision: string }>();
  #writes = 0;

  /** With copies of these files. */
  constructor(files: Iterable<readonly [string, Uint8Array]> = []) {
    for (const [name, contents] of files) {
      this.#put(name, contents);
    }
  }

  /** All files, in no order. */
  *files(): Generator<[string, Uint8Array]> {
    for (const [name, { contents }] of this.#files) {
      yield [name, contents];
    }
  }

  /** Zeroes and drops all files. */
  clear(): void {
    this.#files.forEach(({ contents }) => contents.fill(0));
    this.#files.clear();
  }

  read(name: string): ReturnType<Directory['read']> {
    const file = this.#files.get(name);
    if (file === undefined) {
      return {};
    }
    if (file.contents.length > MAX_FILE_BYTES) {
      throw tooLarge(name);
    }
    return { file };
  }

  write(name: string, contents: Uint8Array, replaces?: string): { revision: string } {
    if (contents.length > MAX_FILE_BYTES) {
      throw tooLarge(name);
    }
    this.#expect(name, replaces);
    return { revision: this.#put(name, contents) };
  }

  remove(name: string, expected?: string): { existed: boolean } {
    if (expected !== undefined) {
      this.#expect(name, expected);
    }
    return { existed: this.#files.delete(name) };
  }

  names(cursor: string | undefined, limit: number): ReturnType<Directory['names']> {
    return pageOf(this.#files.keys(), cursor, limit);
  }

  #expect(name: string, revision: string | undefined): void {
    if (this.#files.get(name)?.revision !== revision) {
      throw conflict(name);
    }
  }

  #put(name: string, contents: Uint8Array): string {
    this.#writes += 1;
    const revision = String(this.#writes);
    this.#files.set(name, { contents: new Uint8Array(contents), revision });
    return revision;
  }
}
