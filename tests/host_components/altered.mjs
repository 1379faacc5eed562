// Copies the npm package's library to PLACE with an altered component: LIBRARY PLACE DIGESTS. With DIGESTS "altered",
// the digests in it are altered alike.

import { createHash } from 'node:crypto';
import { cpSync, writeFileSync } from 'node:fs';

const [library, place, which] = process.argv.slice(2);
cpSync(library, place, { recursive: true });
const { cores } = await import(`${place}/generated/cores.js`);
const { coreDigests, digest } = await import(`${place}/generated/digests.js`);
const altered = {};
for (const [name, core] of Object.entries(cores)) {
  const text = Buffer.from(core, 'base64').toString('latin1');
  const bytes = Buffer.from(text.replaceAll('last_used', 'Last_used'), 'latin1');
  cores[name] = bytes.toString('base64');
  altered[name] = createHash('sha256').update(bytes).digest('hex');
}
const digests = which === 'altered' ? altered : coreDigests;
const line = (name, value) => `export const ${name} = ${JSON.stringify(value)};\n`;
writeFileSync(`${place}/generated/cores.js`, line('cores', cores));
writeFileSync(`${place}/generated/digests.js`, line('digest', digest) + line('coreDigests', digests));
