import { join } from 'node:path';
import type { Contender } from './contender.js';

export const here = join(process.cwd(), 'bench/data-path');
const server = (name: string) => join(here, 'servers', name);
const bin = (name: string) => join(here, 'node_modules/.bin', name);

export const isolations = ['process', 'thread'] as const;

interface HostedOptions {
  nodeArguments?: string[];
  /** Size of the bundle. */
  kilobytes?: number;
  modules?: number;
  /** A leak to plant; see leak.ts. */
  plant?: string;
}

/** A kernel node's data path with a module of servers/. Its first module's route is `m`, the others' are `m1` and so on. */
export function hosted(isolation: string, module: string, options: HostedOptions = {}): Contender {
  const { nodeArguments = [], kilobytes = 0, modules = 1, plant = '' } = options;
  const program = [join(here, 'dist/hosted-node.js'), isolation, server(module), `${kilobytes}`, `${modules}`, plant];
  return {
    name: isolation,
    command: [process.execPath, '--max-semi-space-size=4', ...nodeArguments, ...program],
    port: null,
    path: '/m/',
  };
}

/** A kernel node's data path with the swap drills' module, in a bundle of 100 KB. */
export function swapped(isolation: string, options: HostedOptions = {}): Contender {
  return hosted(isolation, 'swapped.mjs', { kilobytes: 100, ...options });
}

/** @param delayMilliseconds how long its handler waits before it answers. */
export function bare(delayMilliseconds = 0): Contender {
  const command = [process.execPath, server('bare.mjs'), `${delayMilliseconds}`];
  return { name: 'bare', command, port: null, path: '/' };
}

const pm2 = { PM2_HOME: join(here, '.pm2'), PORT: '18789' };
const nginx = ['nginx', '-p', here, '-c', server('nginx.conf')];
const watt: Contender = {
  name: 'watt',
  command: [bin('wattpm'), 'start', server('watt')],
  port: 18791,
  path: '/',
};

export const peers: Contender[] = [
  { name: 'hono', command: [process.execPath, server('hono.mjs')], port: null, path: '/' },
  { name: 'workerd', command: [bin('workerd'), 'serve', server('workerd.capnp')], port: 18787, path: '/' },
  watt,
  {
    name: 'pm2-cluster',
    command: [bin('pm2-runtime'), 'start', server('bare.mjs'), '-i', '1'],
    env: pm2,
    port: 18789,
    path: '/',
  },
  { name: 'nginx', command: nginx, port: 18790, path: '/', isPlain: true },
];

/** Servers that replace themselves as a whole, as their documentation says. */
export const reloadedPeers: Contender[] = [
  {
    name: 'pm2 reload',
    command: [bin('pm2-runtime'), 'start', server('swapped-server.mjs'), '-i', '2'],
    env: pm2,
    port: 18789,
    path: '/',
    reload: [bin('pm2'), 'reload', 'all'],
  },
  { name: 'nginx reload', command: nginx, port: 18790, path: '/', isPlain: true, reload: [...nginx, '-s', 'reload'] },
  { ...watt, name: 'watt restart', reload: [bin('wattpm'), 'restart'] },
];
