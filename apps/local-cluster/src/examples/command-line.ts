// The examples for clusters that are not npm start's, such as docker-compose.yml's:
//   node main.js trust --key FILE --trust FILE --join-token FILE
//     makes the signing key and the nodes' join token, once, and a trust file that trusts the key
//   node main.js publish --key FILE --url URL
//     signs, publishes and deploys (HOTSWAP_API_TOKEN where the API wants one)
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { OrchestratorClient } from '../orchestrator-client.js';
import { examplesFolder } from '../process-plans.js';
import { keptSecret } from '../secret-file.js';
import { findExamplePackages } from './example-packages.js';
import { exampleSigningKey, trustExamples } from './example-trust.js';
import { deployExamples, publishExamples } from './seed-examples.js';

const usage = 'Usage: node main.js trust --key FILE --trust FILE --join-token FILE | publish --key FILE --url URL\n';
const readyWaitSeconds = 120;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    key: { type: 'string' },
    trust: { type: 'string' },
    'join-token': { type: 'string' },
    url: { type: 'string' },
  },
});
const packages = findExamplePackages(examplesFolder);
const { key, trust, 'join-token': joinToken, url } = values;
if (positionals[0] === 'trust' && key !== undefined && trust !== undefined && joinToken !== undefined) {
  const names = new Set(packages.map(({ name }) => name));
  trustExamples(trust, exampleSigningKey(key), [...names]);
  keptSecret(joinToken, () => randomBytes(32).toString('base64url'));
} else if (positionals[0] === 'publish' && key !== undefined && url !== undefined) {
  await publish(key, url);
} else {
  process.stderr.write(usage);
  process.exitCode = 2;
}

async function publish(keyFile: string, url: string): Promise<void> {
  const log = pino({ base: { service: 'examples' } });
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  const client = new OrchestratorClient(
    url.replace(/\/+$/, ''),
    process.env['HOTSWAP_API_TOKEN'] || null,
    abort.signal,
  );
  const until = performance.now() + readyWaitSeconds * 1000;
  while (!(await client.isReady())) {
    if (performance.now() > until) throw new Error(`${url} is not ready after ${readyWaitSeconds} s`);
    await delay(500, undefined, { signal: abort.signal });
  }
  await publishExamples(client, packages, exampleSigningKey(keyFile), log, abort.signal);
  await deployExamples(client, log, abort.signal);
}
