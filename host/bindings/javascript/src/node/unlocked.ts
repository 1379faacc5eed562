/**
 * Sharing a directory with programs that write in place and take no lock, as the FossaWork
 * application does.
 *
 * A reader may find such a file half-written: it is read again until it is whole, or has been left
 * alone for a while. And a save may come between a writer's comparison and its rename: the file that
 * lost its name is looked at once more, and what was saved into it is put back.
 */

/** So old is a file, in milliseconds, that isn't whole and is believed to stay like that. */
const LEFT_ALONE = 200;

/** How long to wait before a file is read again, in milliseconds. */
const PAUSE = 5;

/** How often at most: where the file system has a clock of its own, a file's age says nothing. */
const READINGS = 40;

/** How often at most, for 2 s, where somebody is known to be in the midst of writing it. */
const READINGS_OF_A_SAVE = 400;

/** What `read` returns, with when it was written to, over again while it is being written. */
export function readWhole(
  read: () => { contents: Uint8Array; modified: number } | undefined,
): Uint8Array | undefined {
  for (let readings = 1; ; readings += 1) {
    const found = read();
    if (!found || readings === READINGS || isWhole(found.contents)
      || Date.now() - found.modified >= LEFT_ALONE) {
      return found?.contents;
    }
    pause();
  }
}

/** What a program has saved since there were these contents; none: nothing, or nothing whole. */
export function savedSince(
  contents: Uint8Array, read: () => Uint8Array,
): Uint8Array | undefined {
  for (let readings = 0; readings < READINGS_OF_A_SAVE; readings += 1) {
    const now = read();
    if (Buffer.compare(now, contents) === 0) {
      return undefined;
    }
    if (isWhole(now)) {
      return now;
    }
    pause();
  }
  return undefined;
}

/** Whether it is a JSON document: what was cut off isn't. */
function isWhole(contents: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(contents));
    return true;
  } catch {
    return false;
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE);
}
