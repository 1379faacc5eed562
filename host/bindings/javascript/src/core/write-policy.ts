/**
 * What the component may write, checked before it replaces a file.
 *
 * The host can't tell whether a token can be decrypted. But it can tell that the bytes are one record
 * of the user that the call is for, that a Fernet token of now is where the secret belongs, and that
 * nothing else in it could be one.
 */

/** What is to be written, and what it is compared with. */
interface Change {
  readonly contents: Uint8Array;
  /** The file that it replaces. */
  readonly old: Uint8Array | undefined;
  readonly settings: Uint8Array | undefined;
  /** Whose record it is. */
  readonly user: string | undefined;
  /** Those of the master keys. */
  readonly labels: readonly string[];
  /** The time since 1970. */
  readonly seconds: number;
}

/** The members of an object: each as JSON without white space, since it may not be altered at all. */
type Members = ReadonlyMap<string, string>;

/** How far a token's time may be from the clock: as long as a call can take. */
const MAX_AGE_SECONDS = 60 * 60;
/** How many earlier versions of each credential may be kept. */
const MAX_HISTORY = 100;
/** The rounds of a derivation that is new. */
const ROUNDS = '600000';

const MEMBERS = ['user_id', 'encrypted_data', 'encryption_version', 'created_at', 'key_id'];
const MEMBERS_OF_2 = [...MEMBERS, 'kdf', 'write_counter'];
const DERIVATIONS = ['"hkdf-sha256"', '"pbkdf2-hmac-sha256"'];
const TIME = /^[0-9T:.+Z -]{1,40}$/;
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;
const NOT_ONE_OBJECT = 'it is not one JSON object with each member once';

/** Why a record is not written; none: it may be. */
export function faultOfRecord(change: Change): string | undefined {
  const record = read(change.contents);
  const before = read(change.old);
  if (record === undefined) {
    return NOT_ONE_OBJECT;
  }
  const version = valueOf(record, 'encryption_version');
  if (version !== '1.0' && version !== '2.0') {
    return 'its version may not be written';
  }
  if (valueOf(record, 'user_id') !== change.user) {
    return 'it names another user';
  }
  const token = tokenOf(record);
  if (token === undefined) {
    return 'what should be encrypted is not a Fernet token';
  }
  if (Math.abs(token.seconds - change.seconds) > MAX_AGE_SECONDS) {
    return 'its token\'s time is not now';
  }
  if (token.iv === tokenOf(before)?.iv) {
    return 'its token repeats the IV of the record before';
  }
  const known = version === '2.0' ? MEMBERS_OF_2 : MEMBERS;
  const isSound = (name: string): boolean => {
    const value = valueOf(record, name);
    switch (name) {
      case 'created_at': return typeof value === 'string' && TIME.test(value);
      case 'key_id': return change.labels.some((label) => label === value);
      default: return known.includes(name);
    }
  };
  for (const [name, json] of record) {
    if (!isSound(name) && before?.get(name) !== json) {
      return 'it has a member that no record has';
    }
  }
  return version === '2.0' ? faultOfVersion2(record, before, read(change.settings)) : undefined;
}

function faultOfVersion2(
  record: Members,
  before: Members | undefined,
  settings: Members | undefined,
): string | undefined {
  // Other parameters than those that are there already could carry out 16 bytes as a salt.
  const kdf = membersOf(record.get('kdf') ?? '');
  const isKnown = [before, settings].some((one) => {
    const known = membersOf(one?.get('kdf') ?? '');
    return known !== undefined && kdf !== undefined && [...kdf].every(([name, json]) =>
      known.get(name) === json || (name === 'name' && DERIVATIONS.includes(json)));
  });
  if (!isKnown) {
    return 'its `kdf` is neither the directory\'s nor that of the record before';
  }
  const counter = Number(before?.get('write_counter') ?? 0) + 1;
  if (record.get('write_counter') !== String(counter)) {
    return 'its `write_counter` doesn\'t count on';
  }
  return undefined;
}

/** Why settings are not written; none: they may be. The derivation is set once. */
export function faultOfSettings(change: Change): string | undefined {
  const settings = read(change.contents);
  const before = read(change.old);
  if (settings === undefined) {
    return NOT_ONE_OBJECT;
  }
  const isSound = (name: string, json: string): boolean => {
    switch (name) {
      case 'record_version': return ['"1.0"', '"2.0"'].includes(json);
      case 'token_encoding': return ['"documented"', '"app"'].includes(json);
      case 'history': return /^[0-9]+$/.test(json) && Number(json) <= MAX_HISTORY;
      case 'mac': return isMac(membersOf(json), change.labels);
      case 'kdf': return !before?.has('kdf') && isNewKdf(membersOf(json));
      default: return false;
    }
  };
  const keepsKdf = settings.has('kdf') || !before?.has('kdf');
  const areSound = [...settings].every(([name, json]) =>
    isSound(name, json) || before?.get(name) === json);
  return keepsKdf && areSound ? undefined : 'it is not the settings of a directory';
}

function isMac(mac: Members | undefined, labels: readonly string[]): boolean {
  const label = valueOf(mac, 'key_id');
  return mac?.size === 2 && (label === null || labels.some((known) => known === label))
    && bytesOf(valueOf(mac, 'tag'))?.length === 32;
}

function isNewKdf(kdf: Members | undefined): boolean {
  return kdf?.size === 2 && kdf.get('rounds') === ROUNDS
    && bytesOf(valueOf(kdf, 'salt'))?.length === 16;
}

/** The time and the IV of a record's Fernet token, which may be encoded twice. */
function tokenOf(record: Members | undefined): { seconds: number; iv: string } | undefined {
  let token = bytesOf(valueOf(record, 'encrypted_data'));
  if (token !== undefined && token[0] !== 0x80) {
    token = bytesOf(new TextDecoder('latin1').decode(token));
  }
  // A version, the time, the IV, blocks of 16 bytes and at least one, the HMAC.
  if (token?.[0] !== 0x80 || token.length < 73 || token.length % 16 !== 9) {
    return undefined;
  }
  const seconds = new DataView(token.buffer).getBigUint64(1);
  return { seconds: Number(seconds), iv: token.subarray(9, 25).join() };
}

/** The bytes of URL-safe base64; none for any other text, and if it is not the usual one. */
function bytesOf(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || !/^[\w-]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    return undefined;
  }
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  const binary = atob(standard);
  return btoa(binary) === standard
    ? Uint8Array.from(binary, (character) => character.charCodeAt(0))
    : undefined;
}

function valueOf(members: Members | undefined, name: string): unknown {
  const json = members?.get(name);
  return json === undefined ? undefined : JSON.parse(json);
}

/** The members of what a file holds; none if that isn't one object. */
function read(contents: Uint8Array | undefined): Members | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return membersOf(text.decode(contents));
  } catch {
    return undefined;
  }
}

/** The members of an object; none if the text is none, or has one of them twice. */
function membersOf(text: string): Members | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const tokens = text.match(TOKENS) ?? [];
  if (tokens[0] !== '{') {
    return undefined;
  }
  const members = new Map<string, string>();
  for (let at = 1; at < tokens.length - 1; at += 1) {
    const name = JSON.parse(tokens[at] ?? '');
    const begin = at + 2;
    let depth = 0;
    for (at = begin; depth > 0 || (tokens[at] !== ',' && at < tokens.length - 1); at += 1) {
      depth += Number(/^[{[]/.test(tokens[at] ?? '')) - Number(/^[}\]]/.test(tokens[at] ?? ''));
    }
    if (members.has(name)) {
      return undefined;
    }
    members.set(name, tokens.slice(begin, at).join(''));
  }
  return members;
}
