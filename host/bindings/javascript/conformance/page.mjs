// Tries the page as its user would: page.mjs PAGE-DIR CRED-FILE MASTER-KEY-FILE SCREENSHOT.png
//
// Fails unless the record is read, and the page is silent: it asks nothing of the server after it
// was loaded, and never anything of any other, no violation of its policy, no error. Prints what it saw.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { withPage } from './chromium.mjs';

const [folder, credFile, keyFile, screenshot] = process.argv.slice(2);
assert(screenshot, 'usage: page.mjs PAGE-DIR CRED-FILE MASTER-KEY-FILE SCREENSHOT.png');
const key = readFileSync(keyFile, 'utf8').replace(/\r?\n$/, '');
const name = basename(credFile);
const contents = readFileSync(credFile);

/** What a list of the page shows, by the names of its lines. */
function listed(page, id) {
  return page.locator(`#${id} dt`).evaluateAll((terms) => Object.fromEntries(
    terms.map((term) => {
      const value = term.nextElementSibling;
      return [term.textContent, (value.querySelector('output') ?? value).textContent];
    }),
  ));
}

/** Chooses a file, and waits until the page has looked at it; returns the message that it shows. */
async function choose(page, buffer) {
  await page.setInputFiles('#file', { name, mimeType: '', buffer });
  await page.locator('#envelope:not([hidden]), #message:not([hidden])').first().waitFor();
  return page.locator('#message').innerText();
}

/** Chooses a file, types a key, and waits until the page has answered; returns the message that it shows. */
async function open(page, buffer, typed) {
  assert.equal(await choose(page, buffer), '');
  await page.locator('#key').pressSequentially(typed);
  await page.locator('#open').click();
  await page.locator('#opened:not([hidden]), #message:not([hidden]):not(.busy)').first().waitFor();
  assert.equal(await page.inputValue('#key'), '', 'the key is still in its field');
  return page.locator('#message').innerText();
}

/** The record with one character of its token exchanged. */
function altered() {
  const text = contents.toString();
  const at = text.indexOf('gAAAAA') + 60;
  return Buffer.from(text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
}

const seen = await withPage({ '/': folder }, async (page, address) => {
  const [requests, errors] = [[], []];
  page.on('console', (entry) => entry.type() !== 'log' && errors.push(entry.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.enable');
  page.on('request', (request) => requests.push(request.url()));
  devtools.on('Network.requestWillBeSent', ({ request }) => requests.push(request.url));
  devtools.on('Network.webSocketCreated', ({ url }) => requests.push(url));
  await page.addInitScript(() => {
    globalThis.violations = [];
    const note = ({ violatedDirective }) => globalThis.violations.push(violatedDirective);
    document.addEventListener('securitypolicyviolation', note);
  });
  await page.goto(address, { waitUntil: 'networkidle' });
  const loaded = requests.length;

  const wrongKey = await open(page, contents, `${key}x`);
  const tampered = await open(page, altered(), key);
  const damaged = await choose(page, contents.subarray(0, contents.length / 2));
  assert.equal(await open(page, contents, key), '');
  const [envelope, hidden] = [await listed(page, 'envelope'), await listed(page, 'credential')];
  const whole = await page.content();
  await page.screenshot({ path: screenshot, fullPage: true });
  const show = page.getByRole('button', { name: /^Show / });
  while (await show.count() > 0) {
    await show.first().click();
  }
  const shown = await listed(page, 'credential');
  assert(!whole.includes(shown.Password), 'the password was in the page while hidden');
  await page.locator('#forget').click();
  const forgotten = await page.locator('main').innerText();
  assert(!forgotten.includes(shown.Password) && await page.inputValue('#file') === '');

  const afterLoad = requests.length - loaded;
  const violations = await page.evaluate(() => globalThis.violations);
  const foreign = requests.filter((url) => !url.startsWith(address));
  const noise = { afterLoad, foreign, violations, errors: [...errors] };
  assert.deepEqual(noise, { afterLoad: 0, foreign: [], violations: [], errors: [] });

  // Had the page tried to send anything, its policy would have refused it, and this have seen it.
  const refused = await page.evaluate(() => fetch('/').then(() => false, () => true));
  // The event comes when the browser gets to it.
  await page.waitForFunction(() => globalThis.violations.length > 0);
  const noticed = await page.evaluate(() => globalThis.violations);
  assert.deepEqual([refused, noticed, errors.length > 0], [true, ['connect-src'], true]);
  const loadedFiles = new Set(requests).size;
  return { loadedFiles, ...noise, envelope, hidden, shown, wrongKey, tampered, damaged };
});
console.log(JSON.stringify(seen));
