import { AsyncLocalStorage } from 'node:async_hooks';

/** What log lines are about, where it is known. */
export interface LogFields {
  deploymentId?: string;
  traceId?: string;
}

const storage = new AsyncLocalStorage<LogFields>();

/** Whatever is logged within `work` bears these fields, beside those of the work around it. */
export function withLogFields<T>(fields: LogFields, work: () => T): T {
  return storage.run({ ...storage.getStore(), ...fields }, work);
}

/** For the log's writer. */
export function currentLogFields(): LogFields {
  return storage.getStore() ?? {};
}
