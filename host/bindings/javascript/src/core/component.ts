import { type Root, instantiate } from '../generated/component.js';
import { cores } from '../generated/cores.js';
import { Call, type Host } from './call.js';
import { MoatError } from './error.js';
import { Grant } from './grant.js';
import { selfTest } from './self-test.js';

/** The functions that the component exports. */
export type Exports = Root['vault'] & Root['reveal'];

/** The same functions, in the shape in which TypeScript can call one by a name that is generic. */
type Callable<T extends Record<keyof T, (...args: never) => unknown>> = {
  [F in keyof T]: (...args: Parameters<T[F]>) => ReturnType<T[F]>;
};

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

/** The known-answer test that goes before the first call which may write. */
let tested: Promise<void> | undefined;

/** Calls an export in a new instance. While it runs, nothing else does on this thread. */
export async function call<F extends keyof Exports>(
  host: Host,
  name: F,
  ...args: Parameters<Exports[F]>
): Promise<ReturnType<Exports[F]>> {
  requireUnicode(args);
  if (new Grant(name, args).mayWrite()) {
    tested ??= selfTest(enter);
    await tested.catch((error: unknown) => {
      // It may have been for want of memory.
      tested = undefined;
      throw error;
    });
  }
  return enter(host, name, ...args);
}

/** Calls an export in a new instance, whose memories are zeroed afterwards. */
async function enter<F extends keyof Exports>(
  host: Host,
  name: F,
  ...args: Parameters<Exports[F]>
): Promise<ReturnType<Exports[F]>> {
  const current = new Call(host, new Grant(name, args));
  const memories: WebAssembly.Memory[] = [];
  const component = await instantiate(coreModule, current.imports(), async (module, imports) => {
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
