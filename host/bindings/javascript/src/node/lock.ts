import { spawnSync } from 'node:child_process';

import { MoatError } from '../core/error.js';

/**
 * Takes `flock(2)` on a writer's two opened files, exclusively, the first of them within so many
 * seconds; whether it got both. Closing them gives the locks back, and so does the end of this
 * process.
 *
 * Node has no such call. But a lock belongs to the opened file, not to the process that asked for
 * it: so the program `flock` of util-linux inherits the file, locks it and ends, and what it
 * locked stays locked here. That costs short processes, about 8 ms, and waits synchronously, as
 * the component's imports have to.
 */
export function lockExclusively(first: number, second: number, seconds: number): boolean {
  // A holder of the first one hardly ever finds the second one locked.
  const script = 'flock --exclusive --timeout "$0" 3 && exec flock --exclusive --timeout 0 4';
  const { status, error } = spawnSync('sh', ['-c', script, `${seconds}`], {
    stdio: ['ignore', 'ignore', 'ignore', first, second],
    // The master key is in the environment; no child gets it.
    env: { PATH: process.env.PATH },
  });
  if (status === 0 || status === 1) {
    return status === 0;
  }
  const message = 'the directory can\'t be locked: the program flock (util-linux) failed';
  throw new MoatError('directory', message, { cause: error });
}
