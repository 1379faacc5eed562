// What the npm package makes of what a component writes: LIBRARY, and a file of cases.

import { readFileSync } from 'node:fs';

const [library, cases] = process.argv.slice(2);
const { faultOfRecord, faultOfSettings } = await import(library);
for (const { of, now, ...texts } of JSON.parse(readFileSync(cases, 'utf8'))) {
  const bytes = (text) => text === null ? undefined : new TextEncoder().encode(text);
  const [contents, old, settings] = [texts.new, texts.old, texts.settings].map(bytes);
  const change = { contents, old, settings, user: 'anna', labels: ['main'], seconds: now };
  const fault = of === 'settings' ? faultOfSettings(change) : faultOfRecord(change);
  console.log(fault === undefined);
}
