/** All that needs no Node: for browsers, and for directories of your own. */

export { digest as componentDigest } from '../generated/digests.js';
export { Credential } from './credential.js';
export { type Directory, MAX_FILE_BYTES } from './directory.js';
export { type ErrorCode, MoatError } from './error.js';
export type { Keys, MasterKey } from './keys.js';
export { MemoryDirectory } from './memory-directory.js';
export type * from './records.js';
export { Vault } from './vault.js';
