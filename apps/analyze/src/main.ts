import { AnalysisParameterError, analyseRecording, RecordingError } from '@hotswap/domain';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readLines } from './read-lines.js';

const usage = 'Usage: npm run analyze -- FILE [--parameters FILE]';
const lineBytesMax = 16 * 1024 * 1024;
const parameterBytesMax = 1024 * 1024;

/** Says what a person can mend: no stack. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { file, parametersFile } = readArguments();
  const overrides = parametersFile === null ? {} : await readParameters(parametersFile);
  try {
    for await (const line of analyseRecording(readLines(file, lineBytesMax), overrides)) {
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  } catch (error) {
    if (error instanceof RecordingError) throw new UsageError(`${file}:${error.lineNumber}: ${error.problem}`);
    if (error instanceof AnalysisParameterError)
      throw new UsageError(`${parametersFile ?? `${file}:1`}: ${error.message}`);
    throw asUsageError(file, error);
  }
}

function readArguments(): { file: string; parametersFile: string | null } {
  try {
    const { values, positionals } = parseArgs({ options: { parameters: { type: 'string' } }, allowPositionals: true });
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new Error('one FILE is wanted');
    return { file: locate(file), parametersFile: values.parameters === undefined ? null : locate(values.parameters) };
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n${usage}`);
  }
}

/** npm runs scripts in the project's folder; files are meant from where the person stood. */
function locate(file: string): string {
  return resolve(process.env.INIT_CWD ?? '.', file);
}

async function readParameters(file: string): Promise<Record<string, unknown>> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > parameterBytesMax) throw new UsageError(`${file}: longer than ${parameterBytesMax} characters`);
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new UsageError(`${file}: must hold one JSON object, for example {"alpha": 0.001}`);
    }
    return value as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`${file}: is not JSON (${error.message})`);
    throw asUsageError(file, error);
  }
}

/** A file that is not there or not readable is the caller's to mend; anything else is a fault of the program. */
function asUsageError(file: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR'
    ? new UsageError(`${file}: cannot be read (${code})`)
    : error;
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader went away, as `head` does.
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
