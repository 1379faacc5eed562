/** Master keys by the rules of the `moat` program (host/docs/keys.md): files, rings, the environment. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { MoatError } from '../core/error.js';
import type { MasterKey } from '../core/keys.js';
import { isMeantAsRing, parseRing } from './ring-document.js';
import {
  MAX_SECRET_BYTES, readSecretFile, readSystemdCredential, unusable, withoutLineBreak,
} from './secret-file.js';

const VARIABLE = 'FOSSAWORK_MASTER_KEY';
const RING_VARIABLE = 'FOSSAWORK_KEYRING';
const FILE_VARIABLE = 'FOSSAWORK_MASTER_KEY_FILE';
const COMMAND_VARIABLE = 'FOSSAWORK_MASTER_KEY_COMMAND';
const PREVIOUS_VARIABLE = 'FOSSAWORK_MASTER_KEY_PREVIOUS';
const SYSTEMD_CREDENTIAL = 'fossawork-master-key';

const SOURCES = [VARIABLE, RING_VARIABLE, FILE_VARIABLE, COMMAND_VARIABLE];
/** What no command inherits. */
const KEY_VARIABLES = [...SOURCES, PREVIOUS_VARIABLE, 'FOSSAWORK_AUDIT_KEY_FILE'];

/**
 * The key in a file, without one line break at its end, `\n` or `\r\n`. The file has to belong to
 * this user or root, and nobody else may access it. Fails with `master-key-missing`, also when the
 * file is empty or a key ring.
 */
export function readMasterKey(path: string): MasterKey {
  const contents = readSecretFile(path);
  if (isMeantAsRing(contents)) {
    throw unusable(path, 'it contains a key ring, not a key');
  }
  return single(path, contents);
}

/**
 * The keys in use of a ring that `moat keys` wrote, the primary one first. The rules for the file are
 * those of `readMasterKey`. Fails with `master-key-missing`.
 */
export function readKeyRing(path: string): MasterKey[] {
  return parseRing(path, readSecretFile(path));
}

/**
 * The keys that the environment names, as for the `moat` program; the first encrypts.
 *
 * From one of FOSSAWORK_MASTER_KEY (the key itself), FOSSAWORK_KEYRING and FOSSAWORK_MASTER_KEY_FILE
 * (paths) and FOSSAWORK_MASTER_KEY_COMMAND (for the shell; it prints a key or a ring); without any of
 * these, the systemd credential `fossawork-master-key`. FOSSAWORK_MASTER_KEY_PREVIOUS adds older keys
 * to a single one, one a line. Fails with `master-key-missing` when there is none, when there are two,
 * and when one can't be used.
 */
export function environmentKeys(): MasterKey[] {
  const given = SOURCES.filter((name) => variable(name) !== '');
  if (given.length > 1) {
    const names = given.join(' and ');
    throw new MoatError('master-key-missing', `the master key has more than one source: ${names}`);
  }
  const value = variable(given[0] ?? VARIABLE);
  switch (given[0]) {
    case VARIABLE: return [{ material: value }, ...previous()];
    case RING_VARIABLE: return withoutPrevious(readKeyRing(value));
    case FILE_VARIABLE: return [readMasterKey(value), ...previous()];
    case COMMAND_VARIABLE: return keyOrRing('the master key command', outputOf(value));
    default: return keyOrRing(`the systemd credential ${SYSTEMD_CREDENTIAL}`, fromSystemd());
  }
}

function keyOrRing(place: string, text: Uint8Array): MasterKey[] {
  return isMeantAsRing(text)
    ? withoutPrevious(parseRing(place, text))
    : [single(place, text), ...previous()];
}

function single(place: string, text: Uint8Array): MasterKey {
  const material = withoutLineBreak(text);
  if (material.length === 0) {
    throw unusable(place, 'it contains no key');
  }
  return { material };
}

function previous(): MasterKey[] {
  const lines = variable(PREVIOUS_VARIABLE).split(/\r?\n/);
  return lines.filter((key) => key !== '').map((material) => ({ material }));
}

function withoutPrevious(ring: MasterKey[]): MasterKey[] {
  if (variable(PREVIOUS_VARIABLE) !== '') {
    throw unusable(PREVIOUS_VARIABLE, 'it can\'t be used with a key ring');
  }
  return ring;
}

/** What a shell command prints. It gets no input, and its standard error is this process's. */
function outputOf(command: string): Uint8Array {
  const what = 'the master key command';
  const inherited = Object.entries(process.env).filter(([name]) => !KEY_VARIABLES.includes(name));
  const { error, status, signal, stdout } = spawnSync('/bin/sh', ['-c', command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: Object.fromEntries(inherited),
    maxBuffer: MAX_SECRET_BYTES,
  });
  if (error !== undefined) {
    throw unusable(what, 'code' in error && error.code === 'ENOBUFS'
      ? 'too large for a secret' : 'it can\'t be run');
  }
  if (status !== 0) {
    throw unusable(what, `it failed with ${signal ?? `exit status ${status}`}`);
  }
  return stdout;
}

function fromSystemd(): Uint8Array {
  const directory = process.env['CREDENTIALS_DIRECTORY'];
  const what = `the systemd credential ${SYSTEMD_CREDENTIAL}`;
  const found = directory === undefined
    ? undefined : readSystemdCredential(what, join(directory, SYSTEMD_CREDENTIAL));
  if (found === undefined) {
    const message = `there is no master key: none of ${SOURCES.join(', ')} is set`;
    throw new MoatError('master-key-missing', message);
  }
  return found;
}

function variable(name: string): string {
  const value = process.env[name] ?? '';
  // Node puts U+FFFD in place of bytes that aren't UTF-8: that would be another key.
  if (value.includes('\ufffd')) {
    throw new MoatError('master-key-missing', `${name} is not UTF-8; hand over its bytes as keys`);
  }
  return value;
}
