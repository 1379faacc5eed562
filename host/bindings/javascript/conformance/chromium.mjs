// A headless Chromium, and a server of static files for it to load.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
};

/** Serves these folders, by the beginnings of their paths; the first that fits. */
async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start));
    const file = path === '/' ? 'index.html' : path.slice(prefix.length);
    try {
      const contents = await readFile(join(folder, file));
      response.writeHead(200, { 'Content-Type': TYPES[extname(file)] });
      response.end(contents);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return server;
}

/** Gives `work` a new page and the address of these folders, and ends both afterwards. */
export async function withPage(folders, work) {
  const server = await serve(folders);
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--no-first-run',
    ],
  });
  try {
    return await work(await browser.newPage(), `http://127.0.0.1:${server.address().port}/`);
  } finally {
    await browser.close();
    server.close();
  }
}
