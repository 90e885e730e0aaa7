import { readFileSync } from 'node:fs';
import { hostname, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { type EnvironmentName, environments } from '@hotswap/agent-protocol';

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
const wildcardHosts = new Set(['0.0.0.0', '::', '[::]']);

/** Everything a node is told by its environment variables; see docs/kernel-node.md for the table. */
export interface Settings {
  /** Without a trailing slash. */
  orchestratorUrl: string;
  environment: EnvironmentName;
  /** Absolute. */
  nodeDirectory: string;
  host: string;
  /** 0 = any free port. */
  port: number;
  /** What the node tells others to reach it by; null = made from host and port once it listens. */
  address: string | null;
  zone: string | null;
  trustFile: string;
  secretsDirectory: string | null;
  joinToken: string | null;
  lameDuckSeconds: number;
  drainSeconds: number;
  /** A client whose request or answer is under way is hung up on when it neither sends nor takes anything for so long. */
  clientIdleSeconds: number;
  /** For all instances together. */
  memoryMiB: number;
  /** Processes that are started ahead. */
  spares: number;
  logLevel: (typeof logLevels)[number];
  /** Null: nothing is traced. */
  traceEndpoint: string | null;
}

/** All that is wrong with the settings, one line each. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The node can't start with these settings:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'SettingsError';
  }
}

/** Reads and checks every setting; throws one SettingsError that lists all problems. An empty value counts as not set. */
export function readSettings(env: Record<string, string | undefined>): Settings {
  const problems: string[] = [];
  const text = (name: string) => env[name]?.trim() || null;

  function required(name: string, what: string): string {
    const value = text(name);
    if (value === null) problems.push(`${name} is not set: give ${what}`);
    return value ?? '';
  }
  function url(name: string, value: string | null): string | null {
    if (!value) return null;
    const parsed = URL.canParse(value) ? new URL(value) : null;
    if (parsed && (parsed.protocol === 'http:' || parsed.protocol === 'https:') && !parsed.username)
      return value.replace(/\/+$/, '');
    problems.push(`${name} must be an http:// or https:// address without credentials`);
    return null;
  }
  function number(name: string, otherwise: number, max: number, whole: boolean, min = 0): number {
    const value = text(name);
    if (value === null) return otherwise;
    const parsed = Number(value);
    if (parsed >= min && parsed <= max && (!whole || Number.isInteger(parsed))) return parsed;
    problems.push(`${name} is "${value}": give a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
    return otherwise;
  }
  function oneOf<T extends string>(name: string, value: string | null, choices: readonly T[], otherwise: T): T {
    if (!value) return otherwise;
    const choice = choices.find((each) => each.toLowerCase() === value.toLowerCase());
    if (!choice) problems.push(`${name} is "${value}": give one of ${choices.join(', ')}`);
    return choice ?? otherwise;
  }

  function tokenOf(name: string): string | null {
    const file = text(`${name}_FILE`);
    if (file === null) return text(name);
    if (text(name) !== null) problems.push(`${name} and ${name}_FILE are both set: leave one of them out`);
    try {
      const token = readFileSync(file, 'utf8').trim();
      if (token === '') problems.push(`${name}_FILE: ${file} is empty`);
      return token || null;
    } catch (error) {
      problems.push(`${name}_FILE can't be read: ${(error as Error).message}`);
      return null;
    }
  }

  const orchestrator = required('HOTSWAP_ORCHESTRATOR_URL', "the orchestrator's address, e.g. http://127.0.0.1:5000");
  const environment = required('HOTSWAP_ENVIRONMENT', `one of ${environments.join(', ')}`);
  const nodeDirectory = required('HOTSWAP_NODE_DIR', 'a directory that belongs to this node alone');
  const trustFile = required('HOTSWAP_TRUST_FILE', 'the file that names the keys this node trusts');
  const secretsDirectory = text('HOTSWAP_SECRETS_DIR');
  const settings: Settings = {
    orchestratorUrl: url('HOTSWAP_ORCHESTRATOR_URL', orchestrator) ?? '',
    environment: oneOf('HOTSWAP_ENVIRONMENT', environment, environments, 'Development'),
    nodeDirectory: resolve(nodeDirectory),
    host: text('HOST') ?? '127.0.0.1',
    port: number('PORT', 0, 65_535, true),
    address: url('HOTSWAP_ADDRESS', text('HOTSWAP_ADDRESS')),
    zone: text('HOTSWAP_ZONE'),
    trustFile: resolve(trustFile),
    secretsDirectory: secretsDirectory && resolve(secretsDirectory),
    joinToken: tokenOf('HOTSWAP_JOIN_TOKEN'),
    lameDuckSeconds: number('HOTSWAP_LAME_DUCK_SECONDS', 5, 3600, false),
    drainSeconds: number('HOTSWAP_DRAIN_SECONDS', 30, 3600, false),
    clientIdleSeconds: number('HOTSWAP_CLIENT_IDLE_SECONDS', 60, 3600, false, 0.1),
    memoryMiB: number('HOTSWAP_MEMORY_MIB', defaultMemoryMiB(), 2 ** 24, true),
    spares: number('HOTSWAP_SPARES', 1, 16, true),
    logLevel: oneOf('LOG_LEVEL', text('LOG_LEVEL'), logLevels, 'info'),
    traceEndpoint:
      url('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')) ??
      url('OTEL_EXPORTER_OTLP_ENDPOINT', text('OTEL_EXPORTER_OTLP_ENDPOINT')),
  };
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}

/** Three quarters of what the machine, or the control group that the process runs in, has. */
function defaultMemoryMiB(): number {
  const limit = process.constrainedMemory();
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return Math.floor((0.75 * bytes) / 2 ** 20);
}

/** What others reach the node by: the setting, or host and port, with this machine's name where it listens on every address. */
export function advertisedAddress(settings: Settings, port: number): string {
  if (settings.address) return settings.address;
  const host = wildcardHosts.has(settings.host) ? hostname() : settings.host;
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
}
