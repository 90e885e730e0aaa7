/**
 * What a module is told about itself: its place, then its configuration in this environment and its secret values, which
 * can't replace the four names here.
 */
export interface ModuleEnv {
  /** Development, QA, Staging or Production. */
  environment: string;
  module: string;
  version: string;
  /** Id of the node. */
  node: string;
  [name: string]: unknown;
}

export interface ModuleContext {
  /** Keeps the instance alive until the promise settles, though the answer is already given. */
  waitUntil(promise: Promise<unknown>): void;
}

/**
 * The default export of a module's entry. Only `fetch` is required; what throws or rejects in `start`, `activate` or
 * `health` fails that step of the swap.
 */
export interface Module {
  /** Answers one request. The path of `request.url` is what follows the module's route. */
  fetch(request: Request, env: ModuleEnv, ctx: ModuleContext): Response | Promise<Response>;
  /** Makes ready: pools, caches. Called once, before any request. */
  start?(env: ModuleEnv): void | Promise<void>;
  /** This instance is now the one: start timers and consumers. */
  activate?(): void | Promise<void>;
  /** No longer the one: stop background work, keep serving what is in flight. May be activated again. */
  deactivate?(): void | Promise<void>;
  /** The last call before the process ends. */
  stop?(): void | Promise<void>;
  /** Resolves while healthy. */
  health?(): void | Promise<void>;
  /** State for the instance that takes over, and its reading there. */
  snapshot?(): unknown;
  restore?(state: unknown): void | Promise<void>;
}
