import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { SettingsError, type SettingProblem } from './settings.js';

/**
 * Where free ports are looked for: below the range that systems give to outgoing connections, so that a process
 * that is started again finds its port as it left it.
 */
const searchFrom = 20_000;
const searchTo = 32_000;

/** Why nobody can listen there now, as the system's code (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, …); null when one can. */
export async function listenProblem(host: string, port: number): Promise<string | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** `count` ports that nobody listens on now, other than `taken`. */
export async function chooseFreePorts(host: string, count: number, taken: ReadonlySet<number>): Promise<number[]> {
  const found: number[] = [];
  const size = searchTo - searchFrom;
  const first = randomInt(size);
  for (let offset = 0; offset < size && found.length < count; offset++) {
    const port = searchFrom + ((first + offset) % size);
    if (!taken.has(port) && (await listenProblem(host, port)) === null) found.push(port);
  }
  if (found.length < count) throw new Error(`No ${count} free ports from ${searchFrom} to ${searchTo} on ${host}.`);
  return found;
}

/**
 * Checks the ports that were asked for by number.
 * @throws SettingsError naming each one that can't be listened on, and its setting
 */
export async function requireFreePorts(wanted: { name: string; host: string; port: number }[]): Promise<void> {
  const problems: SettingProblem[] = [];
  for (const { name, host, port } of wanted) {
    const code = await listenProblem(host, port);
    if (code !== null) problems.push(explain(name, host, port, code));
  }
  if (problems.length > 0) throw new SettingsError(problems);
}

function explain(name: string, host: string, port: number, code: string): SettingProblem {
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      name: 'HOST',
      message: `"${host}" is no address of this machine (${code}); use one, or leave HOST out for 127.0.0.1`,
    };
  }
  if (code === 'EACCES')
    return { name, message: `port ${port} is reserved for root (${code}); choose one from 1024 up` };
  return {
    name,
    message: `port ${port} on ${host} is in use by another process (${code}); end that one, or set ${name} to a free port`,
  };
}
