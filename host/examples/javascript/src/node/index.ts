/** Moat's credentials for Node on Linux. */

import { Vault as CoreVault } from '../core/vault.js';
import { KeyCache } from '../core/key-cache.js';
import type { Keys } from '../core/keys.js';
import { environmentKeys } from './environment.js';
import { NodeDirectory } from './node-directory.js';

export {
  Credential, type ErrorCode, KeyCache, type Keys, type MasterKey, MoatError, componentDigest,
} from '../core/index.js';
export type * from '../core/records.js';

/** How a vault is opened. */
export interface OpenOptions {
  /**
   * The first encrypts, all open. By default FOSSAWORK_MASTER_KEY and, one a line,
   * FOSSAWORK_MASTER_KEY_PREVIOUS, read when a call first needs them.
   */
  readonly keys?: Keys | undefined;
  /** Keeps derived keys between calls: by default 1,024, each for 5 minutes. */
  readonly cache?: KeyCache | undefined;
  /** How long a write waits for other writers before it fails with `locked`: seconds, 10. */
  readonly lockTimeout?: number | undefined;
}

/** The credentials of one directory on this machine. */
export class Vault extends CoreVault {
  readonly #directory: NodeDirectory;

  private constructor(directory: NodeDirectory, keys: Keys, cache: KeyCache | undefined) {
    super(directory, keys, cache);
    this.#directory = directory;
  }

  /**
   * Opens a directory that belongs to this user and in which nobody else can write; fails with
   * `directory` otherwise. It stays open until `close`.
   */
  static open(directory: string, options: OpenOptions = {}): Vault {
    const { keys = environmentKeys, cache, lockTimeout = 10 } = options;
    return new Vault(new NodeDirectory(directory, lockTimeout), keys, cache);
  }

  /** Closes the directory and zeroes the keys; the vault can't be used any more. */
  override close(): void {
    super.close();
    this.#directory.close();
  }
}
