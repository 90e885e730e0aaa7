import { type ApiSettings, isLoopback } from '@hotswap/api';
import { readFileSync } from 'node:fs';
import { pino } from 'pino';

/** What the process reads from its environment, checked. */
export interface Settings extends ApiSettings {
  readonly databaseUrl: string;
  /** 0: any free port. */
  readonly port: number;
  readonly trustFile: string;
  /** Hosts that external checks may ask although their addresses are private. */
  readonly allowedCheckHosts: readonly string[];
  readonly logLevel: string;
  /** What the people who run it should know, though it is allowed. */
  readonly warnings: readonly string[];
}

/** The environment does not make sense; the message says every variable that is wrong, and how to mend it. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

const levels = Object.keys(pino.levels.values);
const tokenLengthMin = 16;

/** Throws SettingsError. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const faults: string[] = [];
  const read = (name: string) => environment[name]?.trim() || null;
  const check = (isRight: boolean, fault: string) => {
    if (!isRight) faults.push(fault);
  };
  const databaseUrl = read('DATABASE_URL') ?? '';
  check(isDatabaseUrl(databaseUrl), 'DATABASE_URL has to be set, such as postgres://hotswap@127.0.0.1:5432/hotswap');
  const trustFile = read('HOTSWAP_TRUST_FILE') ?? '';
  check(trustFile !== '', 'HOTSWAP_TRUST_FILE has to name the trust file: whose signatures count for which modules');
  const port = Number(read('PORT') ?? 5000);
  check(Number.isInteger(port) && port >= 0 && port <= 65_535, 'PORT has to be a whole number from 0 to 65535');
  const logLevel = (read('LOG_LEVEL') ?? 'info').toLowerCase();
  check(levels.includes(logLevel), `LOG_LEVEL has to be one of ${levels.join(', ')}`);
  const apiToken = read('HOTSWAP_API_TOKEN');
  const joinTokenFile = read('HOTSWAP_JOIN_TOKEN_FILE');
  check(
    joinTokenFile === null || read('HOTSWAP_JOIN_TOKEN') === null,
    'HOTSWAP_JOIN_TOKEN and HOTSWAP_JOIN_TOKEN_FILE are both set: leave one of them out',
  );
  const joinToken = joinTokenFile === null ? read('HOTSWAP_JOIN_TOKEN') : readTokenFile(joinTokenFile, faults);
  check(isToken(apiToken), tokenFault('HOTSWAP_API_TOKEN'));
  check(isToken(joinToken), tokenFault(joinTokenFile === null ? 'HOTSWAP_JOIN_TOKEN' : joinTokenFile));
  const host = read('HOST') ?? '127.0.0.1';
  const allowOpen = read('HOTSWAP_ALLOW_OPEN');
  check(
    allowOpen === null || allowOpen === 'loopback-published',
    'HOTSWAP_ALLOW_OPEN knows only the value loopback-published',
  );
  const isExposed = !isLoopback(host) && apiToken === null;
  check(
    !isExposed || allowOpen === 'loopback-published',
    `HOST=${host} is reachable from other machines, so HOTSWAP_API_TOKEN has to be set (or HOST=127.0.0.1; or HOTSWAP_ALLOW_OPEN=loopback-published where only loopback is published, as by docker-compose)`,
  );
  check(
    joinToken !== null || joinTokenFile !== null || (isLoopback(host) && apiToken === null),
    'HOTSWAP_JOIN_TOKEN (or HOTSWAP_JOIN_TOKEN_FILE) has to be set where HOST is reachable from other machines or HOTSWAP_API_TOKEN is set: without it, whoever reaches this process joins as a node',
  );
  if (faults.length > 0)
    throw new SettingsError(`The settings are not right:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  const warnings = isExposed
    ? [`Open to whoever reaches ${host}:${port}: HOTSWAP_ALLOW_OPEN says that only loopback is published`]
    : [];
  return {
    databaseUrl,
    trustFile,
    allowedCheckHosts: (read('HOTSWAP_CHECK_HOSTS') ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean),
    port,
    host,
    logLevel,
    apiToken,
    joinToken,
    warnings,
    writesPerMinuteMax: 3000,
  };
}

/** Null, with a fault, where there is none. */
function readTokenFile(path: string, faults: string[]): string | null {
  try {
    const token = readFileSync(path, 'utf8').trim();
    if (token === '') faults.push(`HOTSWAP_JOIN_TOKEN_FILE: ${path} is empty`);
    return token || null;
  } catch (error) {
    faults.push(`HOTSWAP_JOIN_TOKEN_FILE can't be read: ${(error as Error).message}`);
    return null;
  }
}

function isDatabaseUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol);
}

function isToken(token: string | null): boolean {
  return token === null || (token.length >= tokenLengthMin && /^[\x21-\x7e]+$/.test(token));
}

function tokenFault(name: string): string {
  return `${name} has to be at least ${tokenLengthMin} visible ASCII characters, such as \`openssl rand -hex 32\` makes`;
}
