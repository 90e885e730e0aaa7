import { setTimeout as delay } from 'node:timers/promises';
import { ControlPlane, type DeploymentNow } from './control-plane.js';
import { LocalClusterProcess } from './local-cluster-process.js';
import { drawPicture, share, tellScene, type Scene } from './picture.js';
import { Traffic } from './traffic.js';

const module = 'payment-processor';
const environment = 'Production';
const lookMilliseconds = 1000;
const metricsSeconds = 10;
const storySeconds = 600;
const finalStatuses = ['Succeeded', 'Failed', 'RolledBack', 'Cancelled', 'Superseded'];

/** Steps that end as soon as something is proved, and within half a minute where nothing is. */
const canary = {
  scout: { percent: 5, seconds: 5 },
  steps: [
    { percent: 10, minimumSeconds: 5, maximumSeconds: 20 },
    { percent: 30, minimumSeconds: 5, maximumSeconds: 30 },
    { percent: 50, minimumSeconds: 5, maximumSeconds: 30 },
    { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
  ],
};

const isTerminal = process.stdout.isTTY;
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Shows the deployment until it ends. */
async function watch(plane: ControlPlane, traffic: Traffic, title: string, id: string): Promise<DeploymentNow> {
  const beganAt = Date.now();
  for (let height = 0; ;) {
    const [deployment, nodes, measures, standing] = await Promise.all([
      plane.deployment(id),
      plane.nodes(environment),
      plane.measures(environment, module, metricsSeconds),
      plane.standing(id),
    ]);
    const seconds = (Date.now() - beganAt) / 1000;
    const own = nodes.map((node) => ({ ...node, modules: node.modules.filter(({ name }) => name === module) }));
    const { failed, requests } = traffic.counts;
    const scene: Scene = { title, seconds, deployment, nodes: own, measures, standing, failed, requests };
    if (isTerminal) {
      const lines = drawPicture(scene, process.stdout.columns);
      // Back to the first line of the picture before, and clear what is below.
      process.stdout.write(`${height > 0 ? `\u001b[${height}A\u001b[0J` : ''}${lines.join('\n')}\n`);
      height = lines.length;
    } else {
      say(tellScene(scene));
    }
    if (finalStatuses.includes(deployment.status)) return deployment;
    if (seconds > storySeconds)
      throw new Error(`${deployment.version} has not ended after ${storySeconds} s: ${deployment.reason.message}`);
    await delay(lookMilliseconds, undefined, { signal: interrupted.signal });
  }
}

async function tellStory(plane: ControlPlane): Promise<void> {
  await plane.changeCanary(environment, canary);
  const addresses = (await plane.nodes(environment)).map(({ address }) => address);
  const traffic = new Traffic(addresses, 12, 50);
  try {
    say(`People pay on ${addresses.length} nodes, which run ${module} 2.0.0.\n`);
    await delay(5_000, undefined, { signal: interrupted.signal });
    const good = await watch(plane, traffic, '2.1.0 goes out', await plane.deploy(module, '2.1.0'));
    say(`\n2.1.0: ${good.status}. ${good.reason.message}\n`);
    const before = { ...traffic.counts };
    const bad = await watch(
      plane,
      traffic,
      '2.2.0 goes out, and fails one EUR payment in ten',
      await plane.deploy(module, '2.2.0'),
    );
    say(`\n2.2.0: ${bad.status}. ${bad.reason.message}\n`);
    await traffic.stop();
    tellNumbers(traffic, before);
  } finally {
    await traffic.stop();
  }
}

function tellNumbers({ counts }: Traffic, before: { requests: number; failed: number }): void {
  const requests = counts.requests - before.requests;
  const failed = counts.failed - before.failed;
  say('The numbers');
  for (const [version, of] of counts.versions)
    say(
      `  ${version.padEnd(28)} ${String(of.requests).padStart(7)} payments, ${of.failed} failed (${share(of.failed, of.requests)})`,
    );
  say(
    `  while 2.1.0 went out         ${before.failed} of ${before.requests} payments failed (${share(before.failed, before.requests)})`,
  );
  say(`  while 2.2.0 went and came    ${failed} of ${requests} payments failed (${share(failed, requests)})`);
}

say('Starting a local cluster: Postgres, the orchestrator, and the nodes of four environments …');
const cluster = await LocalClusterProcess.start();
try {
  await tellStory(new ControlPlane(cluster.url));
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  say('\nInterrupted.');
} finally {
  await cluster.stop();
}
