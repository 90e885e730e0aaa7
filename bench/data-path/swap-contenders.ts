import { join } from 'node:path';
import type { Contender } from './contender.js';

const here = join(process.cwd(), 'bench/data-path');
const server = (name: string) => join(here, 'servers', name);
const bin = (name: string) => join(here, 'node_modules/.bin', name);

/** A kernel node's data path with the swap drills' module, in a bundle of 100 KB. @param plant a leak to plant; see leak.ts. */
export function hostedNode(isolation: string, nodeArguments: string[] = [], plant = ''): Contender {
  const program = [join(here, 'dist/hosted-node.js'), isolation, server('swapped.mjs'), '100', plant];
  return {
    name: isolation,
    command: [process.execPath, '--max-semi-space-size=4', ...nodeArguments, ...program],
    port: null,
    path: '/m/',
  };
}

const pm2 = { PM2_HOME: join(here, '.pm2') };
const nginx = ['nginx', '-p', here, '-c', server('nginx.conf')];

/** Servers that replace themselves as a whole, as their documentation says. */
export const reloadedPeers: Contender[] = [
  {
    name: 'pm2 reload',
    command: [bin('pm2-runtime'), 'start', server('swapped-server.mjs'), '-i', '2', '--', '18789'],
    env: pm2,
    port: 18789,
    path: '/',
    reload: [bin('pm2'), 'reload', 'all'],
  },
  { name: 'nginx reload', command: nginx, port: 18790, path: '/', isPlain: true, reload: [...nginx, '-s', 'reload'] },
];
