import { LogDestination } from '@hotswap/module-kit/log-destination';
import { pino, type Logger } from 'pino';
import { LogFile } from './supervisor/log-file.js';
import type { LogLevel } from './settings.js';

/** The launcher's log: JSON lines in a file, and the same for a person on standard error. */
export function createLog(file: string, level: LogLevel): Logger {
  // Sets an old file aside when it has grown too big.
  const lines = new LogDestination(new LogFile(file).open());
  const streams = [
    { level: 'trace' as const, stream: lines },
    { level: 'trace' as const, stream: { write: (line: string) => void process.stderr.write(forPerson(line)) } },
  ];
  return pino(
    {
      level,
      base: { service: 'local-cluster' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.multistream(streams),
  );
}

function forPerson(line: string): string {
  const {
    level,
    time,
    msg,
    process: child,
    lastLines,
  } = JSON.parse(line) as {
    level: string;
    time: string;
    msg?: string;
    process?: string;
    lastLines?: string[];
  };
  const head = `${time.slice(11, 19)} ${level.padEnd(5)} ${child === undefined ? '' : `${child}: `}${msg ?? ''}\n`;
  return head + (lastLines ?? []).map((text) => `    | ${text}\n`).join('');
}
