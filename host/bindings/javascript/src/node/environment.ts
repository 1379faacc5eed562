import { MoatError } from '../core/error.js';
import type { MasterKey } from '../core/keys.js';

const VARIABLE = 'FOSSAWORK_MASTER_KEY';
/** Keys that only open, one a line. */
const PREVIOUS_VARIABLE = 'FOSSAWORK_MASTER_KEY_PREVIOUS';

/** The master key of the environment, and those before it. */
export function environmentKeys(): MasterKey[] {
  const primary = variable(VARIABLE);
  if (primary === '') {
    throw new MoatError('master-key-missing', `${VARIABLE} is not set`);
  }
  const previous = variable(PREVIOUS_VARIABLE).split(/\r?\n/).filter((key) => key !== '');
  return [primary, ...previous].map((material) => ({ material }));
}

function variable(name: string): string {
  const value = process.env[name] ?? '';
  // Node puts U+FFFD in place of bytes that aren't UTF-8: that would be another key.
  if (value.includes('\ufffd')) {
    throw new MoatError('master-key-missing', `${name} is not UTF-8; hand over its bytes as keys`);
  }
  return value;
}
