import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ClosedLoopLoad } from '../../e2e/support/closed-loop-load.js';
import { deploy, look, stageOf, waitForEnd } from '../../e2e/support/deployments.js';
import { changePolicy } from '../../e2e/support/drill-cluster.js';
import { startLocalCluster, type LocalCluster } from '../../e2e/support/local-cluster.js';
import { moduleName } from '../../e2e/support/published-module.js';
import { waitFor } from '../../e2e/support/wait-for.js';

const usage = `Usage: npm run bench:rollback -- [options]
  --nodes N    of Production (default 5)
  --rounds N   rollbacks from each step (default 5)
  --out FILE   also writes the JSON there`;

const target = '2.1.0';
const shares = [10, 30, 50, 100];
/** Longer than any measurement: each step stands until it is promoted. */
const standingSeconds = 3600;
const trafficMilliseconds = 700;

/** Milliseconds. */
interface Rollback {
  /** From the request to its 202. */
  accepted: number;
  /** From the decision to the last answer that a user had from the target. */
  lastAnswer: number;
  /** From the decision until the last node has said that it is back on stable, as the deployment's answer has it. */
  confirmed: number;
  /** From the request until then: what the person waits. */
  whole: number;
}

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(usage);
else await run();

/** Production's canary is taken to each of its steps under load, and back by REST, again and again. */
async function run(): Promise<void> {
  const cluster = await startLocalCluster({
    env: {
      HOTSWAP_NODES_QA: '1',
      HOTSWAP_NODES_STAGING: '1',
      HOTSWAP_NODES_PRODUCTION: values.nodes,
    },
  });
  try {
    await prepare(cluster);
    const results = [];
    for (const step of [0, 1, 2, 3, 4]) {
      const rounds: Rollback[] = [];
      let failed = 0;
      let requests = 0;
      for (let round = 0; round < Number(values.rounds); round++) {
        const { counts, rollback } = await measure(cluster, step);
        failed += counts.failed;
        requests += counts.total;
        rounds.push(rollback);
      }
      const of = (name: keyof Rollback) => spread(rounds.map((rollback) => rollback[name]));
      const result = {
        step: step === 0 ? 'scout (5 % on one node)' : `${shares[step - 1]} % on all nodes`,
        nodes: Number(values.nodes),
        rounds: rounds.length,
        lastAnswerMilliseconds: of('lastAnswer'),
        confirmedMilliseconds: of('confirmed'),
        wholeMilliseconds: of('whole'),
        acceptedMilliseconds: of('accepted'),
        requests,
        failed,
      };
      results.push(result);
      console.log(JSON.stringify(result));
    }
    if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`);
  } finally {
    await cluster.stop();
  }
}

/** Everything up to Production has the target: what is deployed from now on begins there. */
async function prepare(cluster: LocalCluster): Promise<void> {
  const short = { rolling: { minimumReadySeconds: 0 }, blueGreen: { bakeSeconds: 0 }, validateSeconds: 0 };
  for (const environment of ['Development', 'QA', 'Staging'] as const) await changePolicy(cluster, environment, short);
  const end = await waitForEnd(cluster, await deploy(cluster, target, 'Staging'));
  if (end.status !== 'Succeeded') throw new Error(`${target} did not reach Staging: ${end.reason.message}`);
  const steps = shares.map((percent) => ({
    percent,
    minimumSeconds: standingSeconds,
    maximumSeconds: standingSeconds,
  }));
  await changePolicy(cluster, 'Production', {
    canary: { scout: { percent: 5, seconds: standingSeconds }, steps },
    validateSeconds: standingSeconds,
  });
}

async function measure(cluster: LocalCluster, step: number) {
  const addresses = await cluster.addresses('Production');
  const load = new ClosedLoopLoad({ addresses, connections: 6, pauseMilliseconds: 25 }).start();
  try {
    const id = await deploy(cluster, target, 'Production');
    await climb(cluster, id, step);
    const { lastAnswerAt: answered } = load.counts;
    // The scout has one request in a hundred.
    await waitFor('the target to be asked', () => answered.has(`${moduleName}@${target}`));
    await new Promise((resolve) => setTimeout(resolve, trafficMilliseconds));
    const requestedAt = Date.now();
    const { status } = await cluster.post(`/api/v1/deployments/${id}/rollback`);
    const acceptedAt = Date.now();
    if (status !== 202) throw new Error(`The rollback was answered ${status}`);
    const end = await waitForEnd(cluster, id, undefined, 60);
    if (end.status !== 'RolledBack') throw new Error(`It ended ${end.status}: ${end.reason.message}`);
    const rolledBack = stageOf(end, 'Production')?.rollback;
    if (!rolledBack) throw new Error('The deployment does not tell of its rollback');
    // By the database's clock, which is this machine's too.
    const [decidedAt, confirmedAt] = [Date.parse(rolledBack.decidedAt), Date.parse(rolledBack.confirmedAt ?? '')];
    // What a node may still be answering.
    await new Promise((resolve) => setTimeout(resolve, trafficMilliseconds));
    const lastAnswerAt = answered.get(`${moduleName}@${target}`) ?? 0;
    const rollback: Rollback = {
      accepted: acceptedAt - requestedAt,
      lastAnswer: lastAnswerAt - decidedAt,
      confirmed: confirmedAt - decidedAt,
      whole: confirmedAt - requestedAt,
    };
    return { counts: load.counts, rollback };
  } finally {
    await load.stop();
  }
}

/** Promotes step by step until the nodes have been doing what `step` asks. */
async function climb(cluster: LocalCluster, id: string, step: number): Promise<void> {
  for (let number = 0; number <= step; number++) {
    await waitFor(
      `step ${number} of Production to stand`,
      async () => {
        const deployment = await look(cluster, id);
        const stage = deployment && stageOf(deployment, 'Production');
        return stage?.step?.number === number && deployment?.reason.code === 'baking';
      },
      { deadlineSeconds: 60, pollMilliseconds: 50 },
    );
    if (number < step) await cluster.post(`/api/v1/deployments/${id}/promote`, { full: false });
  }
}

/** Median with the least and the greatest. */
function spread(numbers: number[]): { median: number; min: number; max: number } {
  const sorted = [...numbers].sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}
