import type { Module } from '@hotswap/module-kit';

const optionalFunctions = ['start', 'activate', 'deactivate', 'stop', 'health', 'snapshot', 'restore'] as const;

/** Evaluates the bundle. @throws Error when it does not export what a module has to. */
export async function importModule(entryUrl: string): Promise<Module> {
  const { default: exported } = (await import(entryUrl)) as { default?: unknown };
  if (typeof exported !== 'object' || exported === null)
    throw new Error('The bundle has no default export that is an object with a function "fetch".');
  const functions = exported as Record<string, unknown>;
  if (typeof functions.fetch !== 'function') throw new Error('The default export has no function "fetch".');
  const module: Record<string, unknown> = { fetch: bound(functions.fetch, exported) };
  for (const name of optionalFunctions) {
    // Some routers have a function for whatever name they are asked for: only what is really there is meant.
    const optional = name in exported ? functions[name] : undefined;
    if (optional === undefined) continue;
    if (typeof optional !== 'function') throw new Error(`"${name}" of the default export is not a function.`);
    module[name] = bound(optional, exported);
  }
  return module as unknown as Module;
}

function bound(method: unknown, self: object): unknown {
  return (method as (...values: unknown[]) => unknown).bind(self);
}

/** Freezes a JSON value all the way down. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
