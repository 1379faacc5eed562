import { type ErrorCode, MoatError } from '../core/index.js';

/** What is wrong, and what to do. */
type Words = readonly [wrong: string, advice: string];

const WORDS: Partial<Record<ErrorCode, Words>> = {
  'master-key-missing': ['There is no key yet.', 'Type or paste the master key.'],
  'master-key-refused': ['This is not a key.', 'Type or paste the master key as it was given out.'],
  'wrong-key-or-tampered': [
    'The key doesn\'t open this record.',
    'Check that it is whole and the right one. If it is, the file was altered: take it from a ' +
    'backup.',
  ],
  'malformed': [
    'This is not a whole credential record.',
    'Choose the file as it is in the credentials directory, under its own name. If it is, it is ' +
    'damaged: take it from a backup.',
  ],
  'unsupported-version': [
    'This record has a version that this page doesn\'t know.',
    'Use a page that was built from a newer Moat.',
  ],
  'needs-migration': [
    'This record is not protected: it is the old application\'s, from before encryption.',
    'Anyone who could write to the directory could have put it there: compare it with a backup, or ' +
    'change the password first.',
  ],
  'too-large': ['The file has more than 64 KiB, so it is no record.', 'Choose a .cred file.'],
  'invalid-user-id': [
    'The file\'s name is no user id followed by .cred.',
    'Choose the file under the name that it has in the credentials directory.',
  ],
};

/** A failure in plain words. */
export function wordsFor(error: unknown): string {
  const code = error instanceof MoatError ? error.code : undefined;
  const words = code === undefined ? undefined : WORDS[code];
  return (words ?? [
    'The record could not be read.',
    `Load the page again. (${error instanceof Error ? error.message : 'unknown'})`,
  ]).join(' ');
}
