// Tries the page as its user would: page.mjs PAGE-DIR CRED-FILE MASTER-KEY-FILE SCREENSHOT.png
//
// Fails unless the record is read, and the page is silent: it asks nothing of the server after it
// was loaded, and never anything of any other, no violation of its policy, no error. Prints what it saw.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';

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
      return [term.textContent, (value.querySelector('.value') ?? value).textContent];
    }),
  ));
}

/** Chooses a file, and waits until the page has looked at it; returns the message that it shows. */
async function choose(page, buffer, called = name) {
  await page.setInputFiles('#file', { name: called, mimeType: '', buffer });
  await page.locator('#envelope:not([hidden]), #message:not([hidden])').first().waitFor();
  return page.locator('#message').innerText();
}

/** Chooses a file, types a key, and waits until the page has answered; returns the message that it shows. */
async function open(page, buffer, typed, called = name) {
  assert.equal(await choose(page, buffer, called), '');
  return unlock(page, typed);
}

/** Types a key, and waits until the page has answered; returns the message that it shows. */
async function unlock(page, typed) {
  await page.locator('#key').pressSequentially(typed);
  await page.locator('#open').click();
  await page.locator('#opened:not([hidden]), #message:not([hidden]):not(.busy)').first().waitFor();
  assert.equal(await page.inputValue('#key'), '', 'the key is still in its field');
  return page.locator('#message').innerText();
}

/** The ids of the fields at which the page says that something is wrong, all by its message. */
function wrongFields(page) {
  return page.locator('[aria-invalid=true][aria-describedby=message]').evaluateAll((fields) =>
    fields.map((field) => field.id));
}

/** Shows all that is hidden. */
async function showAll(page) {
  const show = page.getByRole('button', { name: /^Show / });
  while (await show.count() > 0) {
    await show.first().click();
  }
}

/** On a narrow screen, beside long values, no button is broken into lines or cut off. */
async function tryNarrow(page) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 800 });
  const sizes = await page.locator('.secret button').evaluateAll((buttons) => buttons.map((button) => ({
    lines: Math.round(button.clientHeight / parseFloat(getComputedStyle(button).lineHeight)),
    cut: button.scrollWidth > button.clientWidth || button.getBoundingClientRect().right > innerWidth,
  })));
  assert(sizes.length >= 2 && sizes.every(({ lines, cut }) => lines === 1 && !cut), JSON.stringify(sizes));
  await page.setViewportSize(before);
}

/** Secrets go to the clipboard when that is asked for, and to a screen reader's user never unasked. */
async function tryCopying(page, password) {
  assert.equal(await page.locator('#opened :is(output, [aria-live], [role=alert], [role=status])').count(), 0);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy the password' }).click();
  await page.getByRole('button', { name: 'Copied the password' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), password);
}

/** The credential goes when nothing is done with it, and when nobody sees it. */
async function tryRemoval(page, password) {
  const removed = async (why) => {
    await page.locator('#opened').waitFor({ state: 'hidden' });
    assert(!(await page.content()).includes(password));
    assert.match(await page.locator('#message').innerText(), why);
    assert.deepEqual(await wrongFields(page), []);
  };
  await page.clock.fastForward(59_000);
  await page.getByRole('button', { name: /^Hide / }).first().click();
  await page.clock.fastForward(59_000);
  assert(await page.locator('#opened').isVisible());
  await page.clock.fastForward(1_500);
  await removed(/after 60 seconds/);
  assert.equal(await unlock(page, key), '');
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: true });
    document.dispatchEvent(new Event('visibilitychange'));
    delete document.hidden;
  });
  await removed(/out of sight/);
}

/** A page that can't start says why. */
async function tryFile(page) {
  const fromFile = await page.context().browser().newPage();
  await fromFile.goto(pathToFileURL(`${folder}/index.html`).href);
  await fromFile.getByText('browsers load no modules').waitFor();
  await fromFile.close();
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
  await page.clock.install();
  await page.goto(address, { waitUntil: 'networkidle' });
  const loaded = requests.length;

  const wrongKey = await open(page, contents, `${key}x`);
  assert.deepEqual(await wrongFields(page), ['key']);
  const tampered = await open(page, altered(), key);
  const damaged = await choose(page, contents.subarray(0, contents.length / 2));
  assert.deepEqual(await wrongFields(page), ['file']);
  assert.equal(await open(page, contents, key), '');
  assert.deepEqual(await wrongFields(page), []);
  const [envelope, hidden] = [await listed(page, 'envelope'), await listed(page, 'credential')];
  const whole = await page.content();
  await page.screenshot({ path: screenshot, fullPage: true });
  await showAll(page);
  const shown = await listed(page, 'credential');
  assert(!whole.includes(shown.Password), 'the password was in the page while hidden');
  await page.locator('#forget').click();
  const forgotten = await page.locator('main').innerText();
  assert(!forgotten.includes(shown.Password) && await page.inputValue('#file') === '');

  // As browsers name a second download.
  assert.equal(await open(page, contents, key, name.replace('.cred', ' (1).cred')), '');
  assert.deepEqual(await listed(page, 'envelope'), envelope);
  assert.match(await choose(page, contents, 'bob (1).cred'), /not a whole credential record/);
  assert.equal(await open(page, contents, key), '');
  await showAll(page);
  await tryNarrow(page);
  await tryCopying(page, shown.Password);
  await tryRemoval(page, shown.Password);
  await tryFile(page);

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
