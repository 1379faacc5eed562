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

/** A whole number that fits into the contract's. */
export function count(what: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new TypeError(`${what} is not a whole number from 0 to 4294967295`);
  }
  return value;
}

/** An array of texts; a single one, which is iterable too, is none. */
export function textList(what: string, value: readonly string[]): string[] {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what} is not an array of strings`);
  }
  return value.map((one) => text(`one of ${what}`, one));
}

/** An object with some of these members and no others: a misspelled one would be passed over. */
export function members<T extends object>(what: string, value: T, known: readonly (keyof T)[]): T {
  const names = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (names.length === 0 || !names.every((name) => known.includes(name as keyof T))) {
    throw new TypeError(`${what} is not an object with some of ${known.join(', ')}`);
  }
  return value;
}
