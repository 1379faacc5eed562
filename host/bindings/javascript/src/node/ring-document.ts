/** A key ring as a JSON document (host/docs/keys.md): all keys of a directory with their history. */

import type { MasterKey } from '../core/keys.js';
import { unusable } from './secret-file.js';

const VERSION = 1;
const MAX_ID_BYTES = 64;

const CONTROL = /[\0-\x1f\x7f-\x9f]/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** The types of members: those that have to be there, and others. */
type Types = Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object'>>;

interface Entry {
  id: string;
  added_at: string;
  retired?: boolean;
  key?: string;
  key_base64?: string;
}

/** Whether a text is meant to be a ring, even a damaged one; a master key hardly is by chance. */
export function isMeantAsRing(text: Uint8Array): boolean {
  const characters = Buffer.from(text).toString('latin1');
  return /^[ \t\n\f\r]*\{/.test(characters) && characters.includes('"moat_keyring"');
}

/** The keys of a ring that are in use: the primary one, then the others from the newest on. */
export function parseRing(place: string, text: Uint8Array): MasterKey[] {
  try {
    return keysOf(text);
  } catch (error) {
    // What JSON.parse says quotes the text.
    const why = error instanceof NotARing ? error.message : 'it is not JSON in UTF-8';
    throw unusable(place, `it is not a key ring: ${why}`);
  }
}

class NotARing extends Error {}

function keysOf(text: Uint8Array): MasterKey[] {
  const json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  const document = JSON.parse(json);
  require(isEachMemberOnce(json, document), 'it has a member twice');
  checkMembers(document, { moat_keyring: 'number', primary: 'string', keys: 'object' }, {});
  require(document.moat_keyring === VERSION, 'its version is unknown');
  require(Array.isArray(document.keys), '`keys` is not a list');
  const first: MasterKey[] = [];
  const others: MasterKey[] = [];
  const known = new Set<string>();
  for (const entry of document.keys) {
    const key = keyOf(entry);
    for (const [name, value] of [['id', key.id], ['key', key.material.toString()]]) {
      require(!known.has(`${name} ${value}`), `it has the same ${name} twice`);
      known.add(`${name} ${value}`);
    }
    const isPrimary = key.id === document.primary;
    require(!isPrimary || entry.retired !== true, 'the primary key is retired');
    if (isPrimary) {
      first.push(key);
    } else if (entry.retired !== true) {
      others.unshift(key);
    }
  }
  require(first.length === 1, 'no key has the id that `primary` names');
  return [...first, ...others];
}

function keyOf(entry: Entry): { id: string; material: Uint8Array } {
  checkMembers(entry, { id: 'string', added_at: 'string' }, {
    superseded: 'boolean', retired: 'boolean', key: 'string', key_base64: 'string',
  });
  const { id, key, key_base64: base64 } = entry;
  const size = Buffer.byteLength(id);
  require(size > 0 && size <= MAX_ID_BYTES && !CONTROL.test(id),
    'an id has 1 to 64 bytes and no control characters');
  require(TIME.test(entry.added_at) && !Number.isNaN(Date.parse(entry.added_at)),
    'an `added_at` is not an RFC 3339 time');
  require((key === undefined) !== (base64 === undefined),
    'a key needs either `key` or `key_base64`');
  require(key === undefined || !(CONTROL.test(key) || /["\\]/.test(key)),
    'a key that needs escapes has to be in base64');
  const material = key === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(key);
  require(base64 === undefined || material.toString('base64') === base64,
    'a `key_base64` is not base64');
  require(material.length > 0, 'a key is empty');
  return { id, material: new Uint8Array(material) };
}

function checkMembers(value: unknown, needed: Types, others: Types): void {
  const known = { ...needed, ...others };
  const isSound = typeof value === 'object' && value !== null && !Array.isArray(value)
    && Object.keys(needed).every((name) => Object.hasOwn(value, name))
    && Object.entries(value).every(([name, member]) =>
      Object.hasOwn(known, name) && typeof member === known[name] && member !== null);
  require(isSound, 'a member is missing, unknown, or not of its type');
}

/** JSON.parse takes the last of several members with the same name. */
function isEachMemberOnce(json: string, document: unknown): boolean {
  const tokens = json.match(TOKENS) ?? [];
  const usual = tokens.map((token) =>
    token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token);
  return usual.join('') === JSON.stringify(document);
}

function require(isSo: boolean, otherwise: string): asserts isSo {
  if (!isSo) {
    throw new NotARing(otherwise);
  }
}
