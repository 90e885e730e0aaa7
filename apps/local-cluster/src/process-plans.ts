import { environments, type EnvironmentName } from '@hotswap/agent-protocol';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataDirectory } from './data-directory.js';
import { postgresEndSteps, type EmbeddedPostgres } from './postgres/embedded-postgres.js';
import type { Settings } from './settings.js';
import type { EndSteps } from './supervisor/end-process.js';
import type { ProcessPlan } from './supervisor/supervised-process.js';
import { surfaceJsonLine, surfacePostgresLine } from './supervisor/surfaced-output.js';

/** Together with Postgres' steps these stay below the 10 s in which everything has ended. */
export const nodeEndSteps: EndSteps = [
  { signal: 'SIGTERM', waitSeconds: 4 },
  { signal: 'SIGKILL', waitSeconds: 0.5 },
];
export const orchestratorEndSteps: EndSteps = [
  { signal: 'SIGTERM', waitSeconds: 2 },
  { signal: 'SIGKILL', waitSeconds: 0.5 },
];

const repository = join(import.meta.dirname, '..', '..', '..');
export const examplesFolder = join(repository, 'examples');

/** One kernel node of the local cluster. */
export interface NodePlan {
  environment: EnvironmentName;
  address: string;
  process: ProcessPlan;
}

/** Everything that the plans of one start rest on. */
export interface Premises {
  settings: Settings;
  data: DataDirectory;
  joinToken: string;
  databaseUrl: string;
  nodePorts: readonly number[];
}

/** `kernel-node-qa-2` and the like, in the order of the environments. */
export function nodeNames({ nodeCounts }: Settings): { environment: EnvironmentName; name: string }[] {
  return environments.flatMap((environment) =>
    Array.from({ length: nodeCounts[environment] }, (_, index) => ({
      environment,
      name: `kernel-node-${environment.toLowerCase()}-${index + 1}`,
    })),
  );
}

/** Where `host` is reached from this machine, with brackets where an URL wants them. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

export function planPostgres(postgres: EmbeddedPostgres, port: number, data: DataDirectory): ProcessPlan {
  return {
    name: 'postgres',
    ...postgres.command(port),
    variables: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    user: postgres.user,
    logFile: data.logFile('postgres'),
    pidFile: data.pidFile('postgres'),
    endSteps: postgresEndSteps,
    surface: surfacePostgresLine,
  };
}

/** @throws Error when the app is not built */
export function planOrchestrator({ settings, data, joinToken, databaseUrl }: Premises): ProcessPlan {
  return planApp('orchestrator-api', 'orchestrator-api', data, orchestratorEndSteps, {
    DATABASE_URL: databaseUrl,
    HOST: settings.host,
    PORT: String(settings.port),
    HOTSWAP_TRUST_FILE: data.trustFile('orchestrator-api'),
    HOTSWAP_DATA_DIR: data.orchestratorFolder,
    HOTSWAP_JOIN_TOKEN: joinToken,
    HOTSWAP_API_TOKEN: settings.apiToken ?? undefined,
    HOTSWAP_ALLOW_OPEN: settings.allowOpen ? 'loopback-published' : undefined,
    HOTSWAP_CHECK_HOSTS: settings.checkHosts ?? undefined,
    ...observability(settings),
  });
}

/** @throws Error when the app is not built */
export function planNodes({ settings, data, joinToken, nodePorts }: Premises): NodePlan[] {
  const host = reachableHost(settings.host);
  return nodeNames(settings).map(({ environment, name }, index) => {
    const port = String(nodePorts[index]);
    const address = `http://${host}:${port}`;
    const variables = {
      HOTSWAP_ORCHESTRATOR_URL: `http://${host}:${settings.port}`,
      HOTSWAP_ENVIRONMENT: environment,
      HOTSWAP_NODE_DIR: data.nodeFolder(name),
      HOST: settings.host,
      PORT: port,
      HOTSWAP_ADDRESS: address,
      HOTSWAP_TRUST_FILE: data.trustFile('kernel-node'),
      HOTSWAP_SECRETS_DIR: data.secretsFolder(environment),
      HOTSWAP_JOIN_TOKEN: joinToken,
      // No balancer watches these nodes, and Ctrl-C should take seconds.
      HOTSWAP_LAME_DUCK_SECONDS: '0.5',
      HOTSWAP_DRAIN_SECONDS: '2.5',
      ...observability(settings),
    };
    const plan = planApp('kernel-node', name, data, nodeEndSteps, variables);
    const isOver = () => whyDecommissioned(data.nodeFolder(name));
    return { environment, address, process: { ...plan, isOver } };
  });
}

/** A node keeps in its directory that it was taken out of its cluster. */
function whyDecommissioned(nodeFolder: string): string | null {
  try {
    const { decommissionedAt } = JSON.parse(readFileSync(join(nodeFolder, 'node.json'), 'utf8')) as {
      decommissionedAt?: unknown;
    };
    if (typeof decommissionedAt !== 'string') return null;
    return `it was decommissioned at ${decommissionedAt}: empty ${nodeFolder} to have it join as a new one`;
  } catch {
    return null;
  }
}

/** A node's garbage is what requests leave behind: it is collected often, in small pieces, so that no request waits for a large one. */
const nodeFlags = { 'kernel-node': ['--max-semi-space-size=4'], 'orchestrator-api': [] };

function planApp(
  app: 'orchestrator-api' | 'kernel-node',
  name: string,
  data: DataDirectory,
  endSteps: EndSteps,
  variables: NodeJS.ProcessEnv,
): ProcessPlan {
  const entry = join(repository, 'apps', app, 'dist', 'main.js');
  if (!existsSync(entry)) throw new Error(`${entry} is missing: run npm run build (npm start does).`);
  return {
    name,
    command: process.execPath,
    arguments: [...nodeFlags[app], entry],
    workingDirectory: data.path,
    variables: { ...inheritedVariables(), ...variables },
    user: null,
    logFile: data.logFile(name),
    pidFile: data.pidFile(name),
    endSteps,
    surface: surfaceJsonLine,
  };
}

function observability({ logLevel, otlpEndpoint }: Settings): NodeJS.ProcessEnv {
  return { LOG_LEVEL: logLevel, OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint ?? undefined };
}

/** The launcher's variables without its own settings and npm's: a node has no business with DATABASE_URL or the API's token. */
function inheritedVariables(): NodeJS.ProcessEnv {
  const own = /^(HOTSWAP_|npm_|PG)|^(DATABASE_URL|PORT|HOST|LOG_LEVEL|OTEL_EXPORTER_OTLP_ENDPOINT)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}
