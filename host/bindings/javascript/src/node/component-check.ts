import { createHash } from 'node:crypto';

import { MoatError } from '../core/error.js';
import { cores } from '../generated/cores.js';
import { coreDigests } from '../generated/digests.js';

let checked = false;

/**
 * Compares the component's modules, once in a process, with their SHA-256 from when the package was
 * built; fails with `sandbox` where they differ.
 */
export function checkComponent(): void {
  checked ||= Object.entries(coreDigests).every(([name, digest]) => {
    const bytes = Buffer.from(cores[name] ?? '', 'base64');
    return createHash('sha256').update(bytes).digest('hex') === digest;
  });
  if (!checked) {
    const message = 'this is not the component that the package was built with; install it again';
    throw new MoatError('sandbox', message);
  }
}
