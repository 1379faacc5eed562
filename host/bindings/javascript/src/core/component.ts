import { type ImportObject, type Root, instantiate } from '../generated/component.js';
import { cores } from '../generated/cores.js';
import type { Directory } from './directory.js';
import { MoatError } from './error.js';
import type { KeyCache } from './key-cache.js';
import type { KeyRing } from './keys.js';

/** The functions that the component exports. */
export type Exports = Root['vault'] & Root['reveal'];

/** The same functions, in the shape in which TypeScript can call one by a name that is generic. */
type Callable<T extends Record<keyof T, (...args: never) => unknown>> = {
  [F in keyof T]: (...args: Parameters<T[F]>) => ReturnType<T[F]>;
};

/** What a call is granted. */
export interface Host {
  readonly directory: Directory;
  readonly keys: KeyRing;
  readonly cache: KeyCache;
}

/** The most random bytes that the component may ask for at once. */
const MAX_RANDOM_BYTES = 1024n;

const compiled = new Map<string, Promise<WebAssembly.Module>>();

/** A core module, compiled when it is first needed. */
function coreModule(name: string): Promise<WebAssembly.Module> {
  let module = compiled.get(name);
  if (module === undefined) {
    const bytes = Uint8Array.from(atob(cores[name] ?? ''), (character) => character.charCodeAt(0));
    module = WebAssembly.compile(bytes);
    compiled.set(name, module);
  }
  return module;
}

/**
 * Calls an export in a new instance, whose memories are zeroed afterwards. While it runs, nothing else
 * does on this thread.
 */
export async function call<F extends keyof Exports>(
  host: Host,
  name: F,
  ...args: Parameters<Exports[F]>
): Promise<ReturnType<Exports[F]>> {
  requireUnicode(args);
  const memories: WebAssembly.Memory[] = [];
  const component = await instantiate(coreModule, importsOf(host), async (module, imports) => {
    const instance = await start(module, imports);
    if (instance.exports.memory instanceof WebAssembly.Memory) {
      memories.push(instance.exports.memory);
    }
    return instance;
  });
  const exported: Callable<Exports> = { ...component.vault, ...component.reveal };
  try {
    return exported[name](...args);
  } catch (error) {
    throw failureOf(error);
  } finally {
    for (const memory of memories) {
      new Uint8Array(memory.buffer).fill(0);
    }
  }
}

async function start(
  module: WebAssembly.Module,
  imports: WebAssembly.Imports,
): Promise<WebAssembly.Instance> {
  try {
    return await WebAssembly.instantiate(module, imports);
  } catch (error) {
    // The engine's word for memory that the system doesn't give.
    if (error instanceof RangeError) {
      throw new MoatError('unavailable', 'there is no memory for the component', { cause: error });
    }
    throw error;
  }
}

/** The five imports. Under these names jco looks for them, whatever its declarations say. */
function importsOf({ directory, keys, cache }: Host): ImportObject {
  const imports = {
    'fossawork:credentials/directory': {
      read: answering((name: string) => directory.read(name)),
      write: answering((name: string, contents: Uint8Array, replaces?: string) =>
        directory.write(name, contents, replaces)),
      remove: answering((name: string, expected?: string) => directory.remove(name, expected)),
      names: answering((cursor: string | undefined, limit: number) =>
        directory.names(cursor, limit)),
    },
    'fossawork:credentials/master-keys': { ring: answering(() => ({ keys: keys.provide() })) },
    'fossawork:credentials/key-cache': {
      lookup: cache.lookup.bind(cache),
      remember: cache.remember.bind(cache),
    },
    'wasi:clocks/wall-clock': { now },
    'wasi:random/random': { getRandomBytes },
  };
  return imports as unknown as ImportObject;
}

/** Throws failures as jco expects them, as the plain record; anything else aborts the component. */
function answering<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return work(...args);
    } catch (error) {
      throw error instanceof MoatError ? { code: error.code, message: error.message } : error;
    }
  };
}

function failureOf(error: unknown): unknown {
  // A stack that is too deep is a RangeError, all other traps are RuntimeErrors.
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    const message = `the component was aborted: ${error.message}`;
    return new MoatError('sandbox', message, { cause: error });
  }
  if (error instanceof Error) {
    return error;
  }
  const { code, message } = error as Pick<MoatError, 'code' | 'message'>;
  return new MoatError(code, message);
}

function now(): { seconds: bigint; nanoseconds: number } {
  const milliseconds = Date.now();
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds: BigInt(seconds), nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 };
}

function getRandomBytes(length: bigint): Uint8Array {
  if (length > MAX_RANDOM_BYTES) {
    throw new MoatError('sandbox', 'the component asked for too many random bytes at once');
  }
  try {
    return crypto.getRandomValues(new Uint8Array(Number(length)));
  } catch (error) {
    throw new MoatError('unavailable', 'the system gives no random bytes', { cause: error });
  }
}

/** A half of a surrogate pair would silently become U+FFFD on its way to the component. */
function requireUnicode(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) {
      throw new TypeError('a text is not Unicode: it has half of a surrogate pair');
    }
  } else if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(requireUnicode);
  }
}
