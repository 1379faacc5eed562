// The conformance runner of the browser page's modules: browser.mjs CASES COMPONENT ROOT
//
// Each call is made in the page, under its policy. Its directory is in memory: filled from ROOT
// before the steps, and written back after them.

import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { keysOf, run } from './cases.mjs';
import { withPage } from './chromium.mjs';

const folders = {
  '/conformance/': fileURLToPath(new URL('.', import.meta.url)),
  '/': fileURLToPath(new URL('../dist/page', import.meta.url)),
};

/** In the page: the answers to the steps over these files, and the files after them. */
async function inPage({ keys, steps, files }) {
  const { MemoryDirectory, Vault } = await import('/core/index.js');
  const { answersTo } = await import('/conformance/steps.mjs');
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const directory = new MemoryDirectory(files.map(([name, text]) => [name, bytes(text)]));
  const answers = await answersTo(steps, new Vault(directory, keys));
  const text = (contents) => btoa(String.fromCharCode(...contents));
  return { answers, files: [...directory.files()].map(([name, all]) => [name, text(all)]) };
}

await withPage(folders, async (page, address) => {
  await page.goto(address);
  await run('browser', async (test, directory) => {
    const before = readdirSync(directory).filter((name) => name !== '.moat.lock');
    const files = before.map((name) => [name, readFileSync(join(directory, name), 'base64')]);
    const given = { keys: keysOf(test), steps: test.steps, files };
    const { answers, files: after } = await page.evaluate(inPage, given);
    before.forEach((name) => rmSync(join(directory, name)));
    for (const [name, text] of after) {
      writeFileSync(join(directory, name), Buffer.from(text, 'base64'), { mode: 0o600 });
    }
    return answers;
  });
});
