// What both runners share: their arguments, the directories of the cases, and what they print.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { componentDigest } from '../dist/lib/node/index.js';

/** Runs each case by `answersOf(case, directory)`, and prints what came of it. */
export async function run(caller, answersOf) {
  const [casesFile, component, root] = process.argv.slice(2);
  if (root === undefined) {
    throw new Error(`usage: ${caller}.mjs CASES COMPONENT ROOT`);
  }
  const digest = createHash('sha256').update(readFileSync(component)).digest('hex');
  if (componentDigest !== `sha256:${digest}`) {
    throw new Error('dist/ was built from another component; build it with MOAT_COMPONENT');
  }
  const cases = [];
  for (const test of JSON.parse(readFileSync(casesFile, 'utf8')).cases) {
    const directory = prepared(root, test);
    const answers = await answersOf(test, directory);
    cases.push({ name: test.name, answers, files: records(directory) });
  }
  console.log(JSON.stringify({ caller, cases }));
}

/** The keys of a case, as a vault takes them. */
export function keysOf(test) {
  return test.ring.map(({ id, key }) => ({ material: key, id: id ?? undefined }));
}

/** The directory of a case, with its files. */
function prepared(root, test) {
  const directory = join(root, test.directory ?? test.name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const [name, contents] of Object.entries(test.files ?? {})) {
    writeFileSync(join(directory, name), Buffer.from(contents, 'base64'), { mode: 0o600 });
  }
  return directory;
}

function records(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith('.cred'));
  return names.map((name) => Buffer.from(name)).sort(Buffer.compare).map(String);
}
