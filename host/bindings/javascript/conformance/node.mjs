// The conformance runner of the Node library: node.mjs CASES COMPONENT ROOT

import { Vault } from '../dist/lib/node/index.js';
import { keysOf, run } from './cases.mjs';
import { answersTo } from './steps.mjs';

await run('node', async (test, directory) => {
  const vault = Vault.open(directory, { keys: keysOf(test) });
  try {
    return await answersTo(test.steps, vault);
  } finally {
    vault.close();
  }
});
