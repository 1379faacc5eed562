import type { Exports } from './component.js';

/** What a call may do with the users' files that it is about, the settings, the names and the keys. */
type Right = 'read' | 'write' | 'remove' | 'removeBackup' | 'settings' | 'list' | 'keys';

/** What each function of the component needs, as `moat component` prints it of Moat's own host. */
const RIGHTS: Readonly<Record<keyof Exports, readonly Right[]>> = {
  put: ['read', 'write', 'settings', 'keys'],
  change: ['read', 'write', 'keys'],
  copy: ['read', 'write', 'settings', 'keys'],
  history: ['read', 'keys'],
  restore: ['read', 'write', 'keys'],
  reveal: ['read', 'keys'],
  revealVersion: ['read', 'keys'],
  describe: ['read', 'keys'],
  inspect: ['read'],
  markUsed: ['read', 'write', 'keys'],
  markValidated: ['read', 'write', 'keys'],
  remove: ['remove'],
  users: ['list'],
  verify: ['read', 'keys'],
  migrate: ['read', 'write', 'settings', 'keys'],
  rewrap: ['read', 'write', 'settings', 'keys'],
  configure: ['settings', 'keys'],
  leftovers: ['list'],
  removeBackup: ['read', 'removeBackup', 'keys'],
};

/** The file of the directory's settings. */
export const SETTINGS = 'moat.json';

/** The name of a backup of a user's record. */
const BACKUP = /^(.+)\.cred\.backup_[0-9]{8}_[0-9]{6}$/s;

/** What one call may touch. Names are compared with those that it is about, not taken apart. */
export class Grant {
  readonly #rights: readonly Right[];
  /** Whose file is whose. */
  readonly #files: ReadonlyMap<string, string>;
  readonly #users: ReadonlySet<string>;
  readonly #backup: string | undefined;

  /** The files of those whose records it may write: of a copy, the first. */
  readonly #written: ReadonlySet<string>;

  /** Of a function with these arguments. */
  constructor(readonly name: keyof Exports, args: readonly unknown[]) {
    const [first] = args;
    const users = usersOf(name, args);
    this.#rights = RIGHTS[name];
    this.#users = new Set(users);
    this.#files = new Map(users.map((user) => [`${user}.cred`, user]));
    this.#written = new Set([...this.#files.keys()].slice(0, name === 'copy' ? 1 : undefined));
    this.#backup = name === 'removeBackup' && users.length > 0 ? String(first) : undefined;
  }

  /** Whether it has this right, of whatever. */
  has(right: Right): boolean {
    return this.#rights.includes(right);
  }

  /** Whether it may write files. */
  mayWrite(): boolean {
    return this.has('write') || this.has('settings');
  }

  /** Whose file this is, of the users that it is about. */
  userOf(file: string): string | undefined {
    return this.#files.get(file);
  }

  mayRead(file: string): boolean {
    // The settings say what may be derived to decrypt a file.
    const readsSettings = this.has('settings') || (this.has('read') && this.has('keys'));
    return file === SETTINGS ? readsSettings : this.has('read') && this.#files.has(file);
  }

  mayReplace(file: string): boolean {
    return file === SETTINGS ? this.has('settings') : this.has('write') && this.#written.has(file);
  }

  mayRemove(file: string): boolean {
    return file === this.#backup || (this.has('remove') && this.#files.has(file));
  }

  /** Whether it may use derived keys of this user; none: those of all. */
  mayUseKeysOf(user: string | undefined): boolean {
    return this.has('keys') && (user === undefined || this.#users.has(user));
  }
}

function usersOf(name: keyof Exports, [first, second]: readonly unknown[]): readonly string[] {
  switch (name) {
    case 'copy':
      return [String(first), String(second)];
    case 'users': case 'leftovers': case 'configure':
      return [];
    case 'verify': case 'migrate': case 'rewrap':
      return (first as readonly unknown[]).map(String);
    case 'removeBackup':
      return BACKUP.exec(String(first))?.slice(1) ?? [];
    default:
      return [String(first)];
  }
}
