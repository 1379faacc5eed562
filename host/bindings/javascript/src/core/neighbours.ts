/**
 * A look at a few records that are there already, before the first of a new user is written.
 *
 * They show which form of token the directory's other readers need, and whether the key is the right
 * one: what a wrong key encrypts, the right one can't decrypt.
 */

import type { Directory } from './directory.js';
import { MoatError } from './error.js';
import type { KeyRing } from './keys.js';
import type {
  Envelope,
  Outcome,
  PutOptions,
  RecordVersion,
  Summary,
  TokenEncoding,
} from './records.js';

/** How many records are looked at, at most. */
const SAMPLE = 8;

/** What a vault is asked here. */
interface Records {
  inspect(userId: string): Promise<Envelope>;
  users(): AsyncIterable<string>;
  verify(userIds: readonly string[]): Promise<Outcome<Summary>[]>;
  configure(
    version?: RecordVersion,
    encoding?: TokenEncoding,
    options?: { readonly allowNewKey?: boolean },
  ): Promise<unknown>;
}

/**
 * Makes sure that the first record of this user may be written beside the others, and returns whether
 * others were looked at.
 */
export async function prepareDirectory(
  vault: Records,
  directory: Directory,
  keys: KeyRing,
  userId: string,
  { version, encoding, allowNewKey = false }: PutOptions,
): Promise<boolean> {
  if (await errorCode(vault.inspect(userId)) !== 'not-found') {
    return false;
  }
  const others = await someUsers(vault);
  const settings = settingsOf(directory);
  if (others.length === 0) {
    const isFree = version === undefined && encoding !== 'app';
    if (settings === undefined && isFree && keys.isStrong()) {
      await vault.configure('2.0');
    } else if (settings?.kdf !== undefined) {
      await authenticateAnew(vault, settings);
    }
    return false;
  }
  let seen: Promise<Envelope[]> | undefined;
  const envelopes = (): Promise<Envelope[]> => seen ??= envelopesOf(vault, others);
  // Settings with a salt are authenticated by the keys, which the component checks.
  if (settings?.kdf !== undefined) {
    if (allowNewKey) {
      await authenticateAnew(vault, settings);
    }
  } else if (!allowNewKey) {
    checkSettingsExist(await envelopes());
    await checkKeys(vault, others);
  }
  // The application couldn't read another form than its own.
  const lacksForm = encoding === undefined && settings?.token_encoding === undefined;
  if (lacksForm && (await envelopes()).some(isApplications)) {
    await vault.configure(undefined, 'app');
  }
  return true;
}

async function authenticateAnew(vault: Records, settings: Settings): Promise<void> {
  await vault.configure(settings.record_version ?? '1.0', undefined, { allowNewKey: true });
}

/** A few of the users who have a record. */
export async function someUsers(vault: Records): Promise<string[]> {
  const users: string[] = [];
  for await (const user of vault.users()) {
    users.push(user);
    if (users.length === SAMPLE) {
      break;
    }
  }
  return users;
}

/** What is read of the settings here. */
interface Settings {
  record_version?: RecordVersion;
  token_encoding?: unknown;
  kdf?: unknown;
}

/** What the settings say; those that can't be read the component complains about. */
function settingsOf(directory: Directory): Settings | undefined {
  const file = directory.read('moat.json').file;
  if (file === undefined) {
    return undefined;
  }
  try {
    const settings: unknown = JSON.parse(new TextDecoder().decode(file.contents));
    return typeof settings === 'object' && settings !== null ? settings : {};
  } catch {
    return {};
  }
}

/** Refuses to begin with other settings beside records of version 2.0, whose own are lost. */
function checkSettingsExist(envelopes: readonly Envelope[]): void {
  if (envelopes.some(({ version }) => version === '2.0')) {
    const message = 'moat.json is missing or has no `kdf`, although there are records of version 2.0';
    throw new MoatError('malformed', message);
  }
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

function isApplications({ kind, version, encoding }: Envelope): boolean {
  return kind !== 'current' || (version === '1.0' && encoding === 'app');
}

/** The envelopes of these users' records, as far as they can be read. */
async function envelopesOf(vault: Records, users: readonly string[]): Promise<Envelope[]> {
  const envelopes: Envelope[] = [];
  for (const userId of users) {
    try {
      envelopes.push(await vault.inspect(userId));
    } catch {
      // It shows nothing.
    }
  }
  return envelopes;
}

async function errorCode(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome;
    return undefined;
  } catch (error) {
    return error instanceof MoatError ? error.code : undefined;
  }
}
