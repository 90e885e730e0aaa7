import { expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..');
const older = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'24.10.9'}})`;

it.each([
  'packages/module-kit/dist/cli.js',
  'apps/kernel-node/dist/main.js',
  'apps/local-cluster/dist/main.js',
  'apps/local-cluster/dist/examples/main.js',
  'apps/orchestrator-api/dist/main.js',
])('%s says that Node.js is too old before it reads what that can’t', (entry) => {
  const { status, stderr } = spawnSync(process.execPath, ['--import', older, join(repository, entry)], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^HotSwap needs Node.js 24\.11 .* this is 24\.10\.9\./)]);
  const statically = [...readFileSync(join(repository, entry), 'utf8').matchAll(/^(?:import|export) .*['"](.*)['"]/gm)];
  expect(statically.map(([, from = '']) => from.replace(/^.*\/(require-node)(\.js)?$/, '$1'))).toEqual([
    'require-node',
  ]);
});
