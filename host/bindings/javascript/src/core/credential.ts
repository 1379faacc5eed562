import type { Credential as Opened } from '../generated/interfaces/fossawork-credentials-types.js';
import type { CredentialInput, Field } from './records.js';

/**
 * An opened credential. The password and the fields are given by their accessors alone: printing,
 * `JSON.stringify` and spreading show everything else. JavaScript can't wipe strings, so let go of
 * it soon.
 */
export class Credential implements CredentialInput {
  /** The name to log in with. */
  readonly username: string;
  /** When it was made: UTC, `2025-01-14T10:00:00`. */
  readonly createdAt: string | undefined;
  /** When it was last used; none: never. */
  readonly lastUsed: string | undefined;
  /** Whether the last login attempt succeeded. */
  readonly isValid: boolean;
  /** How many login attempts were reported. */
  readonly validationAttempts: number;
  /** When it expires: a time, or an age in days counted from `createdAt`; none: never. */
  readonly expires: string | undefined;
  readonly #password: string;
  readonly #fields: readonly Field[];

  constructor(opened: Opened) {
    this.username = opened.username;
    this.createdAt = opened.createdAt;
    this.lastUsed = opened.lastUsed;
    this.isValid = opened.isValid;
    this.validationAttempts = opened.validationAttempts;
    this.expires = opened.expires;
    this.#password = opened.password;
    this.#fields = opened.fields;
  }

  /** The secret itself. */
  get password(): string {
    return this.#password;
  }

  /** The further values, as secret as the password. */
  get fields(): readonly Field[] {
    return this.#fields;
  }

  /** The value of a further field; none: there is no such field. */
  field(name: string): string | undefined {
    return this.#fields.find((field) => field.name === name)?.value;
  }

  /** What may be shown: all but the password and the values of fields. */
  toJSON(): object {
    return { ...this, fieldNames: this.#fields.map((field) => field.name) };
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }
}
