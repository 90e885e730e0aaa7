const controller = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());

/** Aborted when the run shall end early: what was measured by then is told all the same. */
export const interruption = controller.signal;
