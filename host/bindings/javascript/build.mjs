// Builds the Node library into dist/lib and the browser page into dist/page. Both run the same
// component, which jco turns into JavaScript and three core modules; these stand in the script as
// base64, since the page may fetch nothing.

import { transpile } from '@bytecodealliance/jco';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const REPOSITORY = join(HERE, '../../..');
const GENERATED = join(HERE, 'src/generated');
const LIBRARY = join(HERE, 'dist/lib');
const PAGE = join(HERE, 'dist/page');

/** The component: the file that MOAT_COMPONENT names, else what the program has embedded. */
function componentBytes() {
  const given = process.env.MOAT_COMPONENT;
  if (given) {
    return readFileSync(given);
  }
  const folder = mkdtempSync(join(tmpdir(), 'moat-component-'));
  const file = join(folder, 'moat.component.wasm');
  const run = 'run --quiet --release --package moat-cli -- component --out';
  try {
    const stdio = ['ignore', 'ignore', 'inherit'];
    execFileSync('cargo', [...run.split(' '), file], { cwd: REPOSITORY, stdio });
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Replaces what has to stand in the text. */
function patched(text, [before, after]) {
  if (!text.includes(before)) {
    throw new Error(`jco's output has nothing to patch here: ${before}`);
  }
  return text.replaceAll(before, after);
}

/** What is otherwise here than jco 1.35.0 writes it. */
const PATCHES = [
  // With this variable set, it prints every string that crosses the boundary, passwords too.
  ['if (!globalThis?.process?.env?.JCO_DEBUG) { return; }', 'return;'],
  // A byte order mark at the beginning of a string is part of it. Without it, a user id that
  // begins with one would name another user's file.
  ['TEXT_DECODER_UTF8 = new TextDecoder()',
    "TEXT_DECODER_UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })"],
  // Node 20 has no such function, and takes 1.5 ms each to say so, ten times a call.
  ['= WebAssembly.promising(', '= (WebAssembly.promising ?? ((work) => work))('],
];

async function transpileInto(folder, component) {
  const { files } = await transpile(component, {
    name: 'component',
    instantiation: 'async',
    strict: true,
    wasiShim: false,
    nodejsCompat: false,
    noComponentErrorWrapping: true,
  });
  const cores = {};
  const digests = {};
  rmSync(folder, { recursive: true, force: true });
  for (const [name, contents] of Object.entries(files)) {
    if (name.endsWith('.wasm')) {
      cores[name] = Buffer.from(contents).toString('base64');
      digests[name] = sha256(contents);
      continue;
    }
    const text = Buffer.from(contents).toString();
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const sound = name === 'component.js' ? PATCHES.reduce(patched, text) : text;
    writeFileSync(join(folder, name), sound);
  }
  // Apart from what they are of.
  writeFileSync(join(folder, 'digests.js'),
    `export const digest = ${JSON.stringify(`sha256:${sha256(component)}`)};\n` +
    `export const coreDigests = ${JSON.stringify(digests, null, 2)};\n`);
  writeFileSync(join(folder, 'digests.d.ts'),
    'export const digest: string;\nexport const coreDigests: Readonly<Record<string, string>>;\n');
  writeFileSync(join(folder, 'cores.js'),
    `export const cores = ${JSON.stringify(cores, null, 2)};\n`);
  writeFileSync(join(folder, 'cores.d.ts'),
    'export const cores: Readonly<Record<string, string>>;\n');
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function compile(project, output) {
  rmSync(output, { recursive: true, force: true });
  const tsc = join(HERE, 'node_modules/typescript/bin/tsc');
  const arguments_ = [tsc, '--project', join(HERE, project)];
  if (spawnSync(process.execPath, arguments_, { stdio: 'inherit' }).status !== 0) {
    process.exit(1);
  }
}

let component;
try {
  component = componentBytes();
} catch (error) {
  console.error(`no component: ${error.message}
Set MOAT_COMPONENT to its file, as \`moat component --out FILE\` writes it, or install Rust, so that
\`cargo run --release --package moat-cli -- component --out FILE\` works in the repository.`);
  process.exit(1);
}
await transpileInto(GENERATED, component);
compile('tsconfig.json', LIBRARY);
cpSync(GENERATED, join(LIBRARY, 'generated'), { recursive: true });
compile('tsconfig.page.json', PAGE);
for (const name of ['component.js', 'cores.js', 'digests.js']) {
  cpSync(join(GENERATED, name), join(PAGE, 'generated', name));
}
for (const name of ['index.html', 'style.css']) {
  cpSync(join(HERE, 'src/page', name), join(PAGE, name));
}
