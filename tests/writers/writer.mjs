// The npm package's directory: `read NAME`, or `write NAME FILE REVISION`.

import { readFileSync } from 'node:fs';

const [library, verb, name, source, revision] = process.argv.slice(2);
const { NodeDirectory } = await import(library);
try {
  const directory = new NodeDirectory('credentials', 10);
  if (verb === 'read') {
    console.log(directory.read(name).file ? 'read' : 'not-found');
  } else {
    directory.write(name, readFileSync(source), revision);
    console.log('done');
  }
} catch (error) {
  console.log(error.code);
}
