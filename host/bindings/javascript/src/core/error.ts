/** Why a call failed; what each means stands in the contract, `wit/types.wit`. */
export type ErrorCode =
  | 'not-found'
  | 'invalid-user-id'
  | 'invalid-credential'
  | 'master-key-missing'
  | 'master-key-refused'
  | 'wrong-key-or-tampered'
  | 'malformed'
  | 'unsupported-version'
  | 'needs-migration'
  | 'conflict'
  | 'locked'
  | 'denied'
  | 'too-large'
  | 'directory'
  | 'rate-limited'
  | 'audit'
  | 'sandbox'
  | 'unavailable';

/** A failure in the contract's shape. Its message never carries plaintext, a key or a token. */
export class MoatError extends Error {
  override readonly name = 'MoatError';
  /** What callers decide by; the message is for people. */
  readonly code: ErrorCode;
  /** The user that the call was about, if it was one. */
  declare userId?: string;
  /** The path of the vault's directory, if it has one. */
  declare directory?: string;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Notes in a failure which user and which directory it is about; returns it. */
export function noting(error: unknown, userId?: string, directory?: string): unknown {
  if (error instanceof MoatError) {
    if (userId !== undefined) {
      error.userId ??= userId;
    }
    if (directory !== undefined) {
      error.directory ??= directory;
    }
  }
  return error;
}
