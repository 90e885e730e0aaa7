import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ClosedLoopLoad } from '../support/closed-loop-load.js';
import { startDrillCluster, waitUntilHealthy } from '../support/drill-cluster.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { publishVersion } from '../support/published-module.js';
import { strategies, type StrategyName } from '../support/strategy-policy.js';
import { findFaults, Journey, loadStory, type Story, type Way } from './journey.js';
import { MortalControlPlane } from '../support/mortal-control-plane.js';

const versions = ['7.0.0', '7.1.0'] as const;
const ways = ['forward', 'back when finished', 'back from the middle'] as const;

/** So many rows of each strategy and count of replicas, chosen by the seed; all of them where it is "all". */
const rowsWanted = process.env['KILL_ROWS'] ?? 'all';
const seed = Number(process.env['KILL_SEED'] ?? 1);

interface Row {
  strategy: StrategyName;
  replicas: number;
  way: Way;
  /** What was decided by the commit after which the orchestrator dies. */
  point: string;
}

/** What a way without a kill decides, and the story it leaves. */
interface Reference {
  points: string[];
  story: Story;
}

/**
 * The orchestrator dies after each single commit of each strategy. One cluster lives through all of it under load; each row is a deployment, or the
 * way back of one, in which the orchestrator that makes the commit is no more by the time anything else could follow.
 */
describe('The kill matrix', () => {
  let cluster: LocalCluster;
  let load: ClosedLoopLoad;
  let current = 0;
  const table: { row: Row; outcome: string; seconds: number }[] = [];

  beforeAll(async () => {
    cluster = await startDrillCluster({ Development: 2 });
    for (const version of versions) await publishVersion(cluster, { version });
    const addresses = await cluster.addresses('Development');
    load = new ClosedLoopLoad({ addresses, connections: 4, pauseMilliseconds: 35 }).start();
  }, 180_000);

  afterAll(async () => {
    const { total, failed } = await load.stop();
    await cluster.stop();
    process.stdout.write(`${print(table)}\n${total} requests, ${failed} failed\n`);
  }, 240_000);

  describe.each([1, 2])('with %i replicas', (replicas) => {
    let plane: MortalControlPlane;

    beforeAll(async () => {
      plane = await MortalControlPlane.take(cluster, replicas);
      await waitUntilHealthy(cluster);
    }, 120_000);

    afterAll(async () => plane.end(), 120_000);

    it.each(strategies)(
      '%s goes on, whatever commit was the last',
      async (strategy) => {
        const references = await travelUnharmed(plane, strategy);
        const rows = ways.flatMap((way) =>
          references[way].points.map((point): Row => ({ strategy, replicas, way, point })),
        );
        expect(rows.length).toBeGreaterThan(15);
        const wanted = rowsWanted === 'all' ? rows : draw(rows, Number(rowsWanted));
        const faults: string[] = [];
        for (const row of wanted) {
          const begun = performance.now();
          const found = await endure(plane, row, references[row.way]);
          const outcome = found.length === 0 ? 'right' : found.join('; ');
          table.push({ row, outcome, seconds: (performance.now() - begun) / 1000 });
          if (found.length > 0) faults.push(`${row.way}, after "${row.point}": ${outcome}`);
        }
        expect(faults).toEqual([]);
      },
      1_800_000,
    );
  });

  async function travelUnharmed(plane: MortalControlPlane, strategy: StrategyName): Promise<Record<Way, Reference>> {
    const references: Partial<Record<Way, Reference>> = {};
    for (const way of ways) {
      const journey = await travel(plane, strategy, way, null);
      expect(journey.faults).toEqual([]);
      references[way] = { points: [...new Set(plane.points)], story: journey.story };
    }
    return references as Record<Way, Reference>;
  }

  /** Answers what is not as it would have been without the kill. */
  async function endure(plane: MortalControlPlane, row: Row, reference: Reference): Promise<string[]> {
    const { faults, story } = await travel(plane, row.strategy, row.way, row.point);
    if (plane.deaths !== 1) faults.push(`${plane.deaths} orchestrators died`);
    if (plane.output.includes('Decision refused')) faults.push('a decision broke an invariant');
    for (const part of ['decisions', 'events'] as const) {
      const [told, wanted] = [story[part].join(', '), reference.story[part].join(', ')];
      if (told !== wanted) faults.push(`${part} were ${told} instead of ${wanted}`);
    }
    const isRising = story.revisions.every((revision, index) => index === 0 || revision > story.revisions[index - 1]!);
    if (!isRising) faults.push(`revisions were ${story.revisions.join(', ')}`);
    return faults;
  }

  /** Each begins and ends with the nodes on one of the two versions. */
  async function travel(plane: MortalControlPlane, strategy: StrategyName, way: Way, point: string | null) {
    const from = versions[current] ?? versions[0];
    const to = versions[1 - current] ?? versions[1];
    const before = { ...load.counts };
    const journey = new Journey(cluster, strategy, to);
    if (way === 'forward') await plane.dieAfter(point);
    else await plane.dieAfter(null);
    if (way === 'back from the middle') await journey.goToTheMiddle();
    const isBack = way !== 'forward';
    let end = way === 'back from the middle' ? null : await journey.goForward();
    if (isBack) {
      await plane.dieAfter(point);
      end = await journey.goBack();
    } else current = 1 - current;
    const faults = await findFaults(cluster, isBack ? from : to);
    if (end?.status !== (isBack ? 'RolledBack' : 'Succeeded')) faults.push(`it ended ${end?.status}`);
    const failed = load.counts.failed - before.failed;
    if (failed > 0) faults.push(`${failed} requests failed: ${JSON.stringify(load.counts.failures.at(-1))}`);
    if (load.counts.total === before.total) faults.push('nothing was asked');
    return { faults, story: await loadStory(cluster, journey.deploymentId) };
  }
});

/** Some of them, in their order. */
function draw(rows: Row[], count: number): Row[] {
  const some = fc.subarray(rows, { minLength: Math.min(count, rows.length), maxLength: count });
  return fc.sample(some, { seed, numRuns: 1 })[0] ?? [];
}

function print(table: readonly { row: Row; outcome: string; seconds: number }[]): string {
  const lines = table.map(({ row: { strategy, replicas, way, point }, outcome, seconds }) =>
    [strategy, replicas, way, point, outcome, `${seconds.toFixed(1)} s`].join(' | '),
  );
  return ['strategy | replicas | way | dies after | outcome | took', ...lines].join('\n');
}
