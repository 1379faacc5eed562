import { spawnSync } from 'node:child_process';

import { MoatError } from '../core/error.js';

/**
 * Takes `flock(2)` on an opened file, exclusively, waiting at most so many seconds. Closing the
 * file gives it back, and so does the end of this process.
 *
 * Node has no such call. But a lock belongs to the opened file, not to the process that asked for
 * it: so the program `flock` of util-linux inherits the file, locks it and ends, and what it
 * locked stays locked here. That costs one short process, about 4 ms, and waits synchronously, as
 * the component's imports have to.
 */
export function lockExclusively(file: number, timeout: number): void {
  const { status, error } = spawnSync('flock', ['--exclusive', '--timeout', `${timeout}`, '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
    // The master key is in the environment; no child gets it.
    env: { PATH: process.env.PATH },
  });
  if (status === 1) {
    const message = `another process holds the directory's lock (waited ${timeout} s)`;
    throw new MoatError('locked', message);
  }
  if (status !== 0) {
    const message = 'the directory can\'t be locked: the program flock (util-linux) failed';
    throw new MoatError('directory', message, { cause: error });
  }
}
