/** Values as callers without TypeScript may give them: a wrong type is a `TypeError`. */

/** True or false; what merely counts as one of them is refused. */
export function flag(what: string, value: boolean): boolean {
  if (typeof value !== 'boolean') {
    throw new TypeError(`${what} is neither true nor false`);
  }
  return value;
}

/** A text. */
export function text(what: string, value: string): string {
  if (typeof value !== 'string') {
    throw new TypeError(`${what} is not a string`);
  }
  return value;
}

/** A number of seconds. */
export function seconds(what: string, value: number): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new TypeError(`${what} is not a number of seconds`);
  }
  return value;
}

/** An array of user ids. */
export function userList(what: string, value: readonly string[]): string[] {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what} is not an array of user ids`);
  }
  return value.map((userId) => text('a user id', userId));
}
