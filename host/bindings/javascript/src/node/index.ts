/** Moat's credentials for Node on Linux. */

import { seconds, text } from '../core/checks.js';
import { noting } from '../core/error.js';
import { Vault as CoreVault } from '../core/vault.js';
import type { Keys } from '../core/keys.js';
import { checkComponent } from './component-check.js';
import { environmentKeys } from './environment.js';
import { NodeDirectory } from './node-directory.js';

export {
  Credential, type ErrorCode, type Keys, type MasterKey, MoatError, componentDigest,
} from '../core/index.js';
export { environmentKeys, readKeyRing, readMasterKey } from './environment.js';
export type * from '../core/records.js';

/** How a vault is opened. */
export interface OpenOptions {
  /**
   * The first encrypts, all open. By default those of `environmentKeys`, which is asked when a call
   * first needs them.
   */
  readonly keys?: Keys | undefined;
  /** How long derived keys are kept between calls, at most 1,024 of them: seconds, 300; 0: not. */
  readonly cacheLifetime?: number | undefined;
  /** How long a write waits for other writers before it fails with `locked`: seconds, 10. */
  readonly lockTimeout?: number | undefined;
}

/** The credentials of one directory on this machine. */
export class Vault extends CoreVault {
  readonly #directory: NodeDirectory;

  private constructor(directory: NodeDirectory, keys: Keys, cacheLifetime?: number) {
    super(directory, keys, cacheLifetime);
    this.#directory = directory;
  }

  /**
   * Opens a directory that belongs to this user and in which nobody else can write; fails with
   * `directory` otherwise, and with `sandbox` if the package's component was altered. It stays open
   * until `close`.
   */
  static open(directory: string, options: OpenOptions = {}): Vault {
    const { keys = environmentKeys, cacheLifetime, lockTimeout = 10 } = options;
    text('directory', directory);
    seconds('lockTimeout', lockTimeout);
    checkComponent();
    try {
      return new Vault(new NodeDirectory(directory, lockTimeout), keys, cacheLifetime);
    } catch (error) {
      throw noting(error, undefined, directory);
    }
  }

  /** Closes the directory and zeroes the keys; the vault can't be used any more. */
  override close(): void {
    super.close();
    this.#directory.close();
  }
}
