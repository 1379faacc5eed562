/**
 * The contract's records. Times are UTC without a zone, `2025-01-14T10:00:00`; what is not there is
 * `undefined`.
 */

import type { MoatError } from './error.js';

/** The version of a record: what derives its key. */
export type RecordVersion = '1.0' | '2.0';

/** How a file encodes its token: as it is, or as the FossaWork application does, in base64 again. */
export type TokenEncoding = 'documented' | 'app';

/** A further value kept with the credential, as secret as the password. */
export interface Field {
  /** Neither empty nor the name of a part of the credential itself; no control characters. */
  readonly name: string;
  readonly value: string;
}

/** What `put` stores. A revealed `Credential` is one too. */
export interface CredentialInput {
  /** The name to log in with. */
  readonly username: string;
  readonly password: string;
  /** Further values, each name once; none by default. */
  readonly fields?: readonly Field[] | undefined;
  /** When it was made; now by default. */
  readonly createdAt?: string | undefined;
  /** When it was last used; never by default. */
  readonly lastUsed?: string | undefined;
  /** Whether the last login attempt succeeded; false by default. */
  readonly isValid?: boolean | undefined;
  /** How many login attempts were reported; 0 by default. */
  readonly validationAttempts?: number | undefined;
  /**
   * When it expires: a time (`2025-01-14T10:00:00`), an age in days counted from `createdAt` (`90d`), or
   * `never`, which is the default.
   */
  readonly expires?: string | undefined;
}

/** A key of the ring, without its material. */
export interface KeyInfo {
  /** The operator's label. */
  readonly id?: string;
  /** Whether this key encrypts. */
  readonly primary: boolean;
  /** Why it ought to be replaced; none for a sound key. */
  readonly weakness?: 'too-short' | 'published-default';
}

/** What can be seen of a record without any key. None of it is authenticated. */
export interface Envelope {
  readonly kind: 'current' | 'legacy-plaintext' | 'legacy-encrypted';
  /** `encryption_version`; none for legacy records. */
  readonly version?: string;
  readonly encoding?: TokenEncoding;
  /** The label of the key that it says it is under; a hint. */
  readonly keyId?: string;
  /** The file's outer `created_at`. */
  readonly createdAt?: string;
  /** The time inside the token. */
  readonly encryptedAt?: string;
  /** How often the record was written; none before version 2.0. */
  readonly writeCounter?: number;
  /** In bytes. */
  readonly size: number;
  /** For a conditional `put` or `remove`. */
  readonly revision: string;
}

/** Everything but the password and the values of fields. */
export interface Summary {
  readonly userId: string;
  /** The name to log in with. */
  readonly username: string;
  readonly fieldNames: readonly string[];
  readonly createdAt?: string;
  /** None: never. */
  readonly lastUsed?: string;
  /** Whether the last login attempt succeeded. */
  readonly isValid: boolean;
  /** How many login attempts were reported. */
  readonly validationAttempts: number;
  /** When it expires: a time, or an age in days counted from `createdAt`; none: never. */
  readonly expires?: string;
  /** The time at which it expires; none: never, or not to be told from what it says. */
  readonly expiresAt?: string;
  /** How many earlier versions of it are kept. */
  readonly earlierVersions: number;
  /** The key that it is under. */
  readonly key: KeyInfo;
  /** The envelope of its record. */
  readonly envelope: Envelope;
}

/** How `put` writes. */
export interface PutOptions {
  /** Fail with `conflict` when the credential exists. */
  readonly createOnly?: boolean | undefined;
  /** Fail with `conflict` unless the record has this revision. */
  readonly expectedRevision?: string | undefined;
  /** Store a new user's credential even if no key decrypts any record that is there. */
  readonly allowNewKey?: boolean | undefined;
  /** By default that of the record it replaces, or of the directory. */
  readonly version?: RecordVersion | undefined;
  /** By default as in the record it replaces, or as the directory is set. */
  readonly encoding?: TokenEncoding | undefined;
  /**
   * Keep what the record before has and the new credential doesn't name: fields, and when it expires; false by
   * default.
   */
  readonly keepFields?: boolean | undefined;
}

/** What `change` changes of a credential; what isn't given stays as it is. */
export interface Changes {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Fields to add, or to replace. */
  readonly fields?: readonly Field[] | undefined;
  /** The names of fields to remove. */
  readonly removedFields?: readonly string[] | undefined;
  /** When it expires: a time, an age in days such as `90d`, or `never`. */
  readonly expires?: string | undefined;
  /** Remove all earlier versions, and keep none of what is replaced now; false by default. */
  readonly forgetHistory?: boolean | undefined;
}

/** An earlier version of a credential, without its secrets. */
export interface EarlierVersion {
  /** By which it can be restored; later ones have greater numbers. */
  readonly number: number;
  readonly username: string;
  readonly fieldNames: readonly string[];
  readonly createdAt?: string;
  /** When another took its place. */
  readonly replacedAt: string;
}

/** What a credential was before. */
export interface VersionHistory {
  /** The credential as it is now. */
  readonly summary: Summary;
  /** Those that are kept, the latest first. */
  readonly versions: readonly EarlierVersion[];
}

/** What `put` did. */
export interface Stored {
  /** The record as it stands now. */
  readonly summary: Summary;
  /** Whether there was one before. */
  readonly replaced: boolean;
  /** Fields of the record before that the new one doesn't have. */
  readonly droppedFields: readonly string[];
}

/** What `remove` did. */
export interface Removed {
  readonly existed: boolean;
}

/** How `migrate` writes. */
export interface MigrateOptions {
  /** Go through all of it, but write nothing. */
  readonly dryRun?: boolean | undefined;
  /**
   * Take records under the application's published default key for genuine. Anyone who could write
   * to the directory may have chosen what is in them.
   */
  readonly acceptDefaultKey?: boolean | undefined;
  /**
   * Take records that are not encrypted for genuine. Anyone who could write to the directory may
   * have chosen what is in them.
   */
  readonly acceptPlaintext?: boolean | undefined;
  /** By default legacy kinds come to the directory's version, and all others stay. */
  readonly version?: RecordVersion | undefined;
  /**
   * Also of current records of version 1.0. By default as they were; what had no token gets one as
   * the directory is set, or else as the application reads it.
   */
  readonly encoding?: TokenEncoding | undefined;
}

/** What became of a record that was to be rewritten. */
export interface Rewritten {
  readonly userId: string;
  /** The envelope of the record as it was found. */
  readonly before: Envelope;
  /** The key that it was under; none: it was not encrypted. */
  readonly key?: KeyInfo;
  /** Whether it was rewritten; in a dry run, whether it would be. */
  readonly changed: boolean;
}

/** A file that is neither a record nor Moat's own. */
export interface Leftover {
  readonly name: string;
  /** Whose record it is a copy of, as the application's old migration left them: in the clear. */
  readonly backupOf?: string;
}

/** What `configure` did. */
export interface Configured {
  /** Whether something changed. */
  readonly changed: boolean;
}

/** What a call for many users answers for one of them. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: MoatError };
