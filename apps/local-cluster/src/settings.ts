import { environments, type EnvironmentName } from '@hotswap/agent-protocol';
import { resolve } from 'node:path';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What `npm start` was asked to do; made from environment variables by {@link readSettings}. */
export interface Settings {
  /** Where the API listens. */
  host: string;
  port: number;
  /** Absolute path. */
  dataDirectory: string;
  /** null: run the embedded Postgres. */
  databaseUrl: string | null;
  nodeCounts: Record<EnvironmentName, number>;
  /** First of the nodes' ports, one after the other in the order of the environments; 0: any free ones. */
  nodePortBase: number;
  /** Publish and deploy the example modules. */
  examples: boolean;
  apiToken: string | null;
  allowOpen: boolean;
  /** null: generate one and keep it in the data directory. */
  joinToken: string | null;
  otlpEndpoint: string | null;
  /** Hosts that external checks may ask although their addresses are private. */
  checkHosts: string | null;
  logLevel: LogLevel;
  /** Variables that look like settings of `npm start` but are none: likely misspelt. */
  unknownNames: string[];
}

/** One thing wrong with one variable, in words that say how to mend it. */
export interface SettingProblem {
  name: string;
  message: string;
}

/** Thrown with everything that is wrong at once; `message` lists it for a person. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';

  constructor(readonly problems: readonly SettingProblem[]) {
    super(
      [
        `${problems.length === 1 ? 'A setting is' : `${problems.length} settings are`} wrong:`,
        ...problems.map(({ name, message }) => `  ${name}: ${message}`),
        'These are environment variables; docs/running.md lists them all.',
      ].join('\n'),
    );
  }
}

const nodeCountNames: Record<EnvironmentName, string> = {
  Development: 'HOTSWAP_NODES_DEVELOPMENT',
  QA: 'HOTSWAP_NODES_QA',
  Staging: 'HOTSWAP_NODES_STAGING',
  Production: 'HOTSWAP_NODES_PRODUCTION',
};
const nodeCountDefaults: Record<EnvironmentName, number> = { Development: 1, QA: 2, Staging: 2, Production: 5 };
/** Per environment: one machine runs out of memory well before this. */
const nodeCountMax = 50;
const portMax = 65_535;

const names = new Set([
  'HOTSWAP_DATA_DIR',
  ...Object.values(nodeCountNames),
  'HOTSWAP_NODE_PORT_BASE',
  'HOTSWAP_EXAMPLES',
  'HOTSWAP_API_TOKEN',
  'HOTSWAP_ALLOW_OPEN',
  'HOTSWAP_CHECK_HOSTS',
  'HOTSWAP_JOIN_TOKEN',
]);

/**
 * Settings out of environment variables; a variable that is empty counts as not set.
 * @throws SettingsError naming every variable that is wrong
 */
export function readSettings(variables: NodeJS.ProcessEnv, workingDirectory: string): Settings {
  const problems: SettingProblem[] = [];
  const text = (name: string) => variables[name]?.trim() || null;
  const refuse = (name: string, message: string) => void problems.push({ name, message });

  const whole = (name: string, fallback: number, minimum: number, maximum: number): number => {
    const value = text(name);
    if (value === null) return fallback;
    if (/^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum) return Number(value);
    refuse(name, `"${value}" is not a whole number from ${minimum} to ${maximum}; leave it out for ${fallback}`);
    return fallback;
  };
  const url = (name: string, schemes: string[], example: string, shown: boolean): string | null => {
    const value = text(name);
    if (value === null) return null;
    const parsed = URL.canParse(value) ? new URL(value) : null;
    if (parsed !== null && schemes.includes(parsed.protocol) && parsed.hostname !== '') return value;
    refuse(name, `${shown ? `"${value}"` : 'the value'} is not such an address: ${example}`);
    return null;
  };
  const token = (name: string): string | null => {
    const value = text(name);
    if (value === null || /^[\x21-\x7e]{16,1024}$/.test(value)) return value;
    refuse(name, 'the value must be 16 to 1,024 printable ASCII characters without spaces: it is sent in a header');
    return null;
  };

  const host = text('HOST') ?? '127.0.0.1';
  const port = whole('PORT', 5000, 1, portMax);
  const databaseUrl = url(
    'DATABASE_URL',
    ['postgres:', 'postgresql:'],
    'postgres://user:password@host:5432/database; leave it out for the embedded Postgres',
    false,
  );
  const nodeCounts = { ...nodeCountDefaults };
  for (const environment of environments) {
    nodeCounts[environment] = whole(nodeCountNames[environment], nodeCountDefaults[environment], 0, nodeCountMax);
  }
  const nodePortBase = whole('HOTSWAP_NODE_PORT_BASE', 0, 0, portMax);
  const apiToken = token('HOTSWAP_API_TOKEN');
  const joinToken = token('HOTSWAP_JOIN_TOKEN');

  const allowOpenText = text('HOTSWAP_ALLOW_OPEN');
  const allowOpen = allowOpenText?.toLowerCase() === 'loopback-published';
  if (allowOpenText !== null && !allowOpen) {
    refuse('HOTSWAP_ALLOW_OPEN', `"${allowOpenText}" is unknown; the only value is loopback-published`);
  }
  if (!isLoopback(host) && apiToken === null && !allowOpen) {
    refuse(
      'HOST',
      `"${host}" is reachable from other machines, where the API must not be open; set HOTSWAP_API_TOKEN, or leave HOST out for 127.0.0.1`,
    );
  }

  const nodeTotal = Object.values(nodeCounts).reduce((sum, count) => sum + count, 0);
  const nodePortLast = nodePortBase + nodeTotal - 1;
  if (nodePortBase > 0 && nodeTotal > 0) {
    const range = `${nodeTotal} nodes need ports ${nodePortBase} to ${nodePortLast}`;
    if (nodePortLast > portMax) refuse('HOTSWAP_NODE_PORT_BASE', `${range}, and ${portMax} is the last one`);
    if (port >= nodePortBase && port <= nodePortLast) {
      refuse('PORT', `${port} is wanted twice: ${range} (HOTSWAP_NODE_PORT_BASE); change one of the two`);
    }
  }

  const logLevelText = text('LOG_LEVEL')?.toLowerCase() ?? 'info';
  const logLevel = logLevels.find((level) => level === logLevelText);
  if (logLevel === undefined) refuse('LOG_LEVEL', `"${logLevelText}" is none of ${logLevels.join(', ')}`);

  const settings: Settings = {
    host,
    port,
    dataDirectory: resolve(workingDirectory, text('HOTSWAP_DATA_DIR') ?? '.hotswap'),
    databaseUrl,
    nodeCounts,
    nodePortBase,
    examples: readSwitch('HOTSWAP_EXAMPLES', text('HOTSWAP_EXAMPLES'), databaseUrl === null, refuse),
    apiToken,
    allowOpen,
    joinToken,
    checkHosts: text('HOTSWAP_CHECK_HOSTS'),
    otlpEndpoint: url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:'], 'http://127.0.0.1:4318', true),
    logLevel: logLevel ?? 'info',
    unknownNames: Object.keys(variables)
      .filter((name) => name.startsWith('HOTSWAP_') && !names.has(name))
      .sort(),
  };
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}

function readSwitch(
  name: string,
  value: string | null,
  fallback: boolean,
  refuse: (name: string, message: string) => void,
): boolean {
  if (value === null) return fallback;
  if (/^(on|true|yes|1)$/i.test(value)) return true;
  if (!/^(off|false|no|0)$/i.test(value)) refuse(name, `"${value}" is neither on nor off`);
  return false;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
