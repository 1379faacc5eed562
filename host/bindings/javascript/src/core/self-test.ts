/**
 * A known-answer test of the component, before it gets near a file: whether it encrypts and decrypts
 * as the format says, over a directory in memory, with a known clock, key and random bytes. The key
 * comes from the cache, so that it need not be derived; whether derivation is right shows when an
 * existing record is decrypted.
 */

import type { Host } from './call.js';
import type { Exports } from './component.js';
import { MoatError } from './error.js';
import { KeyRing } from './keys.js';
import { MemoryDirectory } from './memory-directory.js';

/** What makes a call of the component. */
type Enter = <F extends keyof Exports>(
  host: Host,
  name: F,
  ...args: Parameters<Exports[F]>
) => Promise<ReturnType<Exports[F]>>;

const USER = 'self-test';
const KEY = 'a known key: not a secret at all';
const RANDOM = 0x5a;
const NOW = Date.UTC(2025, 0, 14, 10);

/** The record that has to come out, made with Python's `cryptography`. */
const KNOWN =
  '{"user_id":"self-test","encrypted_data":"' +
  'gAAAAABnhjWgWlpaWlpaWlpaWlpaWlpaWl4xG3R5qLSeR2G1Z0cdZTv__nO2cV6PHajeg6fEKB6Pn_wEvq4obqMF' +
  '9smedy7NcNdBdni48E7sDDeY22rvrW8G2N__K6jnbK1ZUfGARs3oZQF06AWd3KYRJwSseVjvZ7kEQ5AG9DgAIcj6' +
  'Pab5D74HlLdWtSfSGmXpjakYxuA12AZ16VdqmviqjBgbGv7boAn4lYQLvgsfnef1kE6bJhv9NMauUaqlxGSNHYWn' +
  'K_3WFW2wM4rjLSwBzrbSf72UOdAFtaGJYa3zoAvIy4Ygg5s=' +
  '","created_at":"2025-01-14T10:00' +
  ':00","encryption_version":"1.0"}';

/** Encrypts what is known and compares the record, then decrypts that and compares the credential. */
export async function selfTest(enter: Enter): Promise<void> {
  const directory = new MemoryDirectory();
  const host: Host = {
    directory,
    keys: new KeyRing([{ material: KEY }]),
    cache: { lookup: () => ({ material: new TextEncoder().encode(KEY) }), remember: () => {} },
    now: () => NOW,
    random: (length) => new Uint8Array(length).fill(RANDOM),
  };
  const known = {
    username: 'known',
    password: 'correct horse',
    fields: [{ name: 'site', value: 'é' }],
    isValid: false,
    validationAttempts: 0,
  };
  await enter(host, 'put', USER, known, { createOnly: true, keepFields: false });
  const { file } = directory.read(`${USER}.cred`);
  const { credential } = await enter(host, 'reveal', USER);
  const { username, password, fields } = credential;
  const told = JSON.stringify([username, password, fields]);
  const expected = JSON.stringify([known.username, known.password, known.fields]);
  if (told !== expected || new TextDecoder().decode(file?.contents) !== KNOWN) {
    throw new MoatError('sandbox', 'the component failed its self-test');
  }
}
