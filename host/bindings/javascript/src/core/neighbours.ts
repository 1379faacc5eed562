/**
 * A look at a few records that are there already, before the first of a new user is written.
 *
 * They show which form of token the directory's other readers need, and whether the key is the right
 * one: what a wrong key encrypts, the right one can't decrypt.
 */

import type { Directory } from './directory.js';
import { MoatError } from './error.js';
import type { Envelope, Outcome, Summary, TokenEncoding } from './records.js';

/** How many records are looked at, at most. */
const SAMPLE = 8;

/** What a vault is asked here. */
interface Records {
  inspect(userId: string): Promise<Envelope>;
  users(): AsyncIterable<string>;
  verify(userIds: readonly string[]): Promise<Outcome<Summary>[]>;
  configure(version: undefined, encoding: TokenEncoding): Promise<unknown>;
}

/** A few of the users who have a record, if this one has none. */
export async function neighboursOf(vault: Records, userId: string): Promise<string[]> {
  const neighbours: string[] = [];
  if (await errorCode(vault.inspect(userId)) !== 'not-found') {
    return neighbours;
  }
  for await (const other of vault.users()) {
    neighbours.push(other);
    if (neighbours.length === SAMPLE) {
      break;
    }
  }
  return neighbours;
}

/** Refuses keys that decrypt none of these users' records, unless none of them shows that. */
export async function checkKeys(vault: Records, users: readonly string[]): Promise<void> {
  let refused = false;
  for (const userId of users) {
    const [outcome] = await vault.verify([userId]);
    if (outcome?.ok) {
      return;
    }
    refused ||= outcome?.error.code === 'wrong-key-or-tampered';
  }
  if (refused) {
    const message = 'no master key decrypts the existing records';
    throw new MoatError('wrong-key-or-tampered', message);
  }
}

/**
 * Sets the directory to the application's form of tokens, if it isn't set to any and one of these
 * users' records is the application's: that couldn't read another.
 */
export async function adoptForm(
  vault: Records,
  directory: Directory,
  users: readonly string[],
): Promise<void> {
  for (const userId of users) {
    if (await isApplications(vault, userId)) {
      if (!hasForm(directory)) {
        await vault.configure(undefined, 'app');
      }
      return;
    }
  }
}

async function isApplications(vault: Records, userId: string): Promise<boolean> {
  try {
    const { kind, version, encoding } = await vault.inspect(userId);
    return kind !== 'current' || (version === '1.0' && encoding === 'app');
  } catch {
    return false;
  }
}

function hasForm(directory: Directory): boolean {
  const settings = directory.read('moat.json').file;
  try {
    const text = settings && new TextDecoder().decode(settings.contents);
    return text !== undefined && 'token_encoding' in JSON.parse(text);
  } catch {
    return false; // The component complains of it.
  }
}

async function errorCode(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome;
    return undefined;
  } catch (error) {
    return error instanceof MoatError ? error.code : undefined;
  }
}
