import { MoatError } from '../core/index.js';

const SUFFIX = '.cred';

/** What browsers put at the end of the name of a file that they have downloaded before. */
const COPY = /^(.+) \([0-9]+\)$/s;

/**
 * Whose record a file is, by its name; of a second download, `anna (1).cred`, that of the user whom the
 * record names. Fails with `invalid-user-id` for another ending.
 */
export function userIdOf(name: string, contents: Uint8Array): string {
  if (!name.endsWith(SUFFIX)) {
    throw new MoatError('invalid-user-id', 'the name doesn\'t end with .cred');
  }
  const whole = name.slice(0, -SUFFIX.length);
  const original = COPY.exec(whole)?.[1];
  return original !== undefined && original === namedIn(contents) ? original : whole;
}

/** The user whom a record names, in the clear; none if it is no record. */
function namedIn(contents: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(contents)).user_id;
  } catch {
    return undefined;
  }
}
