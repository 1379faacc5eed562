// The npm package's directory: `read NAME`, or `write NAME FILE REVISION`.

import { readFileSync } from 'node:fs';

const [library, verb, name, source, revision] = process.argv.slice(2);
const { NodeDirectory } = await import(library);
const directory = new NodeDirectory('credentials', 10);
try {
  if (verb === 'read') {
    const { file } = directory.read(name);
    console.log(file ? Buffer.from(file.contents).toString() : 'none');
  } else {
    directory.write(name, readFileSync(source), revision);
    console.log('done');
  }
} catch (error) {
  console.log(error.code);
}
