import type { Result } from '../generated/interfaces/fossawork-credentials-vault.js';
import { type Host, SYSTEM } from './call.js';
import { count, flag, members, seconds, text, textList } from './checks.js';
import { type Exports, call } from './component.js';
import { Credential } from './credential.js';
import type { Directory } from './directory.js';
import { type ErrorCode, MoatError, noting } from './error.js';
import { KeyCache } from './key-cache.js';
import { type Keys, KeyRing } from './keys.js';
import { checkKeys, prepareDirectory, someUsers } from './neighbours.js';
import type {
  Changes, Configured, CredentialInput, Envelope, Leftover, MigrateOptions, Outcome, PutOptions,
  RecordVersion, Removed, Rewritten, Stored, Summary, TokenEncoding, VersionHistory,
} from './records.js';

/** What is called for one user, and for some. */
type OfOneUser =
  | 'put' | 'change' | 'copy' | 'history' | 'restore' | 'reveal' | 'revealVersion' | 'describe'
  | 'inspect' | 'markUsed' | 'markValidated' | 'remove';
type OfUsers = 'verify' | 'migrate' | 'rewrap';

/** The arguments after the user or the users. */
type Rest<A extends readonly unknown[]> = A extends [unknown, ...infer R] ? R : never;

type Failure = { code: ErrorCode; message: string };

/** What a function answers for a user. */
type AnswerOf<F extends OfUsers> =
  ReturnType<Exports[F]>[number] extends Result<infer T, unknown> ? T : never;

/** How many names of the directory one call looks at. */
const PAGE = 4096;

/**
 * The credentials of one directory. Every call runs in a new instance of the component.
 *
 * Failures are thrown as `MoatError`, with the user and the directory that they are about; a value of
 * the wrong type is a `TypeError`. A call computes
 * on the thread that makes it: 30 to 50 ms where a key has to be derived first (RFC 8018, 100,000
 * rounds; six times as many in version 2.0, unless the key is a strong one).
 */
export class Vault {
  readonly #directory: Directory;
  readonly #keys: KeyRing;
  readonly #cache: KeyCache;
  /** Whether the records were looked at, and a new one may be written beside them. */
  #knowsNeighbours = false;

  /** Derived keys are kept for `cacheLifetime` seconds. */
  constructor(directory: Directory, keys: Keys, cacheLifetime = 300) {
    this.#directory = directory;
    this.#keys = new KeyRing(keys);
    this.#cache = new KeyCache(seconds('cacheLifetime', cacheLifetime));
  }

  /**
   * Stores a credential in place of the one before. A key of the ring must decrypt what is there,
   * unless it is of a legacy kind that anyone can read: a mistyped key replaces nothing. Nor is a new
   * user's credential stored when the first few records of others can't be decrypted: that fails
   * with `wrong-key-or-tampered`, unless `allowNewKey` says that it is meant.
   */
  async put(
    userId: string,
    credential: CredentialInput,
    { allowNewKey = false, ...options }: PutOptions = {},
  ): Promise<Stored> {
    const asked = { ...options, allowNewKey: flag('allowNewKey', allowNewKey) };
    const createOnly = flag('createOnly', options.createOnly ?? false);
    const keepFields = flag('keepFields', options.keepFields ?? false);
    const isValid = flag('isValid', credential.isValid ?? false);
    const { username, password, fields, createdAt, lastUsed, expires } = credential;
    const knowsOthers = this.#knowsNeighbours || await this.#about(userId, () =>
      prepareDirectory(this, this.#directory, this.#keys, userId, asked));
    const stored = await this.#callFor('put', userId, {
      username,
      password,
      fields: [...fields ?? []],
      createdAt,
      lastUsed,
      isValid,
      validationAttempts: credential.validationAttempts ?? 0,
      expires,
    }, { ...options, createOnly, keepFields });
    this.#knowsNeighbours ||= knowsOthers && options.encoding === undefined;
    return stored;
  }

  /**
   * Changes a part of a credential and keeps everything else. A new password restarts the
   * credential's age: `createdAt` becomes now. With another username or password, no login attempt
   * has been reported yet. Fails with `invalid-credential` when a field to remove isn't there, and with
   * `conflict` when the record isn't the expected one.
   */
  async change(userId: string, changes: Changes, expectedRevision?: string): Promise<Summary> {
    const { username, password, fields, removedFields, expires, forgetHistory } = members('changes', changes,
      ['username', 'password', 'fields', 'removedFields', 'expires', 'forgetHistory']);
    return this.#callFor('change', userId, {
      username,
      password,
      fields: [...fields ?? []],
      removedFields: textList('removedFields', removedFields ?? []),
      expires,
      forgetHistory: flag('forgetHistory', forgetHistory ?? false),
    }, expectedRevision);
  }

  /**
   * Stores the credential of the user `source` for this one, with all that belongs to it: when it was
   * used, when it expires, its earlier versions. Fails with `conflict` when this user has one already.
   */
  async copy(userId: string, source: string): Promise<Summary> {
    return this.#callFor('copy', userId, text('source', source));
  }

  /** Returns which earlier versions of a credential are kept, without their secrets. */
  async history(userId: string): Promise<VersionHistory> {
    return this.#callFor('history', userId);
  }

  /**
   * Puts an earlier version in the place of the credential, which becomes the latest of the earlier
   * ones. Fails with `not-found` when there is none of this number, and with `conflict` when the record isn't
   * the expected one.
   */
  async restore(userId: string, number: number, expectedRevision?: string): Promise<Summary> {
    return this.#callFor('restore', userId, count('number', number), expectedRevision);
  }

  /**
   * Decrypts a record and returns an earlier version of its credential. Fails with `not-found` when
   * there is none of this number.
   */
  async revealVersion(
    userId: string,
    number: number,
  ): Promise<{ credential: Credential; summary: Summary }> {
    const { credential, summary } =
      await this.#callFor('revealVersion', userId, count('number', number));
    return { credential: new Credential(credential), summary };
  }

  /** Decrypts a record and returns all of it. */
  async reveal(userId: string): Promise<{ credential: Credential; summary: Summary }> {
    const { credential, summary } = await this.#callFor('reveal', userId);
    return { credential: new Credential(credential), summary };
  }

  /** Decrypts a record and returns all but its secrets. */
  async describe(userId: string): Promise<Summary> {
    return this.#callFor('describe', userId);
  }

  /** Returns a record's envelope; needs no key. */
  async inspect(userId: string): Promise<Envelope> {
    return this.#callFor('inspect', userId);
  }

  /** Sets `lastUsed` to now. */
  async markUsed(userId: string): Promise<Summary> {
    return this.#callFor('markUsed', userId);
  }

  /** Counts a login attempt and notes whether it succeeded. */
  async markValidated(userId: string, valid: boolean): Promise<Summary> {
    return this.#callFor('markValidated', userId, flag('valid', valid));
  }

  /** Removes a record, readable or not. Fails with `conflict` when it isn't the expected one. */
  async remove(userId: string, expectedRevision?: string): Promise<Removed> {
    return this.#callFor('remove', userId, expectedRevision);
  }

  /** All users, in ascending order of their ids' bytes. */
  async *users(): AsyncGenerator<string, void, undefined> {
    for await (const { userIds } of this.#pages('users')) {
      yield* userIds;
    }
  }

  /** Decrypts each record, an outcome for each in the order asked; for a few users at a time. */
  async verify(userIds: readonly string[]): Promise<Outcome<Summary>[]> {
    return this.#callForEach('verify', userIds);
  }

  /**
   * Encrypts records of legacy kinds with the primary key, or converts all to another version or
   * token encoding. What anyone could have written fails with `needs-migration`, unless it is
   * accepted. Returns an outcome for each in the order asked; for a few users at a time.
   */
  async migrate(
    userIds: readonly string[],
    options: MigrateOptions = {},
  ): Promise<Outcome<Rewritten>[]> {
    return this.#callForEach('migrate', userIds, {
      ...options,
      dryRun: flag('dryRun', options.dryRun ?? false),
      acceptDefaultKey: flag('acceptDefaultKey', options.acceptDefaultKey ?? false),
      acceptPlaintext: flag('acceptPlaintext', options.acceptPlaintext ?? false),
    });
  }

  /**
   * Encrypts records with the primary key that were encrypted with another of the ring. Returns an
   * outcome for each in the order asked; for a few users at a time.
   */
  async rewrap(
    userIds: readonly string[],
    { dryRun = false }: { readonly dryRun?: boolean | undefined } = {},
  ): Promise<Outcome<Rewritten>[]> {
    return this.#callForEach('rewrap', userIds, flag('dryRun', dryRun));
  }

  /**
   * Sets the version and the token encoding of new records in this directory, and how many earlier
   * versions of each credential are kept, at most 100; as given. With a version, settings that were altered, or that another key authenticates, are taken over. That fails with
   * `wrong-key-or-tampered` when the keys decrypt none of the first few records, unless `allowNewKey`
   * says that it is meant.
   */
  async configure(
    version?: RecordVersion,
    encoding?: TokenEncoding,
    { allowNewKey = false, history }: {
      readonly allowNewKey?: boolean | undefined;
      readonly history?: number | undefined;
    } = {},
  ): Promise<Configured> {
    if (!flag('allowNewKey', allowNewKey) && version !== undefined) {
      await this.#about(undefined, async () => checkKeys(this, await someUsers(this)));
    }
    const kept = history === undefined ? undefined : count('history', history);
    return this.#call('configure', version, encoding, kept);
  }

  /** Files that are neither records nor Moat's own, in the order of the directory; all in UTF-8. */
  async *leftovers(): AsyncGenerator<Leftover, void, undefined> {
    for await (const { leftovers } of this.#pages('leftovers')) {
      yield* leftovers;
    }
  }

  /** Removes a backup of this name, if the credential that it is a copy of can be decrypted. */
  async removeBackup(name: string): Promise<Removed> {
    return this.#call('removeBackup', name);
  }

  /** Zeroes the vault's copies of the master keys and the derived keys; it has no keys then. */
  close(): void {
    this.#keys.wipe();
    this.#cache.clear();
  }

  /** Calls a function that is about one user. */
  #callFor<F extends OfOneUser>(
    name: F,
    userId: string,
    ...args: Rest<Parameters<Exports[F]>>
  ): Promise<ReturnType<Exports[F]>> {
    const all = [userId, ...args] as unknown as Parameters<Exports[F]>;
    return this.#about(userId, () => this.#call(name, ...all));
  }

  /** Calls a function that answers for each of some users. */
  async #callForEach<F extends OfUsers>(
    name: F,
    userIds: readonly string[],
    ...args: Rest<Parameters<Exports[F]>>
  ): Promise<Outcome<AnswerOf<F>>[]> {
    const users = textList('userIds', userIds);
    const all = [users, ...args] as unknown as Parameters<Exports[F]>;
    const results = await this.#call(name, ...all) as Result<AnswerOf<F>, Failure>[];
    return results.map((result, place) => {
      if (result.tag === 'ok') {
        return { ok: true, value: result.val };
      }
      const error = new MoatError(result.val.code, result.val.message);
      noting(error, users[place], this.#directory.path);
      return { ok: false, error };
    });
  }

  #call<F extends keyof Exports>(
    name: F,
    ...args: Parameters<Exports[F]>
  ): Promise<ReturnType<Exports[F]>> {
    const host: Host = {
      directory: this.#directory, keys: this.#keys, cache: this.#cache, ...SYSTEM,
    };
    return this.#about(undefined, () => call(host, name, ...args));
  }

  /** Notes in a failure which user and which directory it is about. */
  async #about<T>(userId: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw noting(error, userId, this.#directory.path);
    }
  }

  async *#pages<F extends 'users' | 'leftovers'>(
    name: F,
  ): AsyncGenerator<ReturnType<Exports[F]>, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#call(name, ...[cursor, PAGE] as Parameters<Exports[F]>);
      yield page;
      cursor = page.next;
    } while (cursor !== undefined);
  }
}
