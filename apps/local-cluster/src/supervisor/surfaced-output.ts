type Surfaced = { level: 'warn' | 'error'; message: string };

const messageCharactersMax = 500;
const levelNumbers = { warn: 40, error: 50, fatal: 60 } as const satisfies Record<string, number>;

/** Warnings and errors among a child's JSON log lines (pino's levels, as numbers or words); other text is shown where it tells of a crash. */
export function surfaceJsonLine(line: string): Surfaced | null {
  if (!line.startsWith('{')) return /^(\w*Error\b|node: |FATAL)/.test(line) ? shown('error', line) : null;
  let entry: { level?: unknown; msg?: unknown; err?: { message?: unknown } };
  try {
    entry = JSON.parse(line) as typeof entry;
  } catch {
    return null;
  }
  const level =
    typeof entry.level === 'number'
      ? entry.level
      : ((levelNumbers as Record<string, number>)[String(entry.level)] ?? 0);
  if (level < levelNumbers.warn) return null;
  const parts = [entry.msg, entry.err?.message].filter((part) => typeof part === 'string');
  return shown(level < levelNumbers.error ? 'warn' : 'error', parts.join(': ') || line);
}

/**
 * What of Postgres' log a person should see: FATAL and PANIC. Its ERROR lines are statements that were refused, which their
 * senders know; "starting up" and "shutting down" are answers to clients that came early or stayed late.
 */
export function surfacePostgresLine(line: string): Surfaced | null {
  const found = /(FATAL|PANIC): {2}(.+)$/.exec(line);
  if (found === null || /starting up|shutting down|terminating connection|recovery mode/.test(line)) return null;
  return shown('error', `${found[1]}: ${found[2]}`);
}

/** The first line: the rest is in the log file. */
function shown(level: Surfaced['level'], message: string): Surfaced {
  return { level, message: (message.split('\n')[0] ?? '').slice(0, messageCharactersMax) };
}
