import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedLoopLoad } from '../support/closed-loop-load.js';
import { startDrillCluster, waitUntilHealthy } from '../support/drill-cluster.js';
import type { LocalCluster } from '../support/local-cluster.js';
import { MortalControlPlane } from '../support/mortal-control-plane.js';
import { publishVersion } from '../support/published-module.js';
import { strategies, type StrategyName } from '../support/strategy-policy.js';
import { findFaults, Journey, loadStory, ways, type Story, type Way } from './journey.js';

const versions = ['7.0.0', '7.1.0'] as const;
/** So many kills one deployment has to survive at most; 1: each kill has a deployment of its own, which takes much longer. */
const killsMax = Number(process.env['KILLS_PER_DEPLOYMENT'] ?? 8);
const attemptsMax = 3;

/** What a way without a kill decides, commit by commit, and the story that it leaves. */
interface Reference {
  points: string[];
  story: Story;
}

/**
 * The orchestrator dies after each single commit of each strategy. One cluster lives through all of it under load; when the orchestrator has made
 * the commit it is no more, before anything else can follow.
 */
describe('The kill matrix', () => {
  let cluster: LocalCluster;
  let load: ClosedLoopLoad;
  let current = 0;
  const references = new Map<string, Reference>();
  const table: string[][] = [['strategy', 'replicas', 'way', 'dies after', 'outcome']];

  beforeAll(async () => {
    cluster = await startDrillCluster({ Development: 2 });
    for (const version of versions) await publishVersion(cluster, { version });
    const addresses = await cluster.addresses('Development');
    load = new ClosedLoopLoad({ addresses, connections: 4, pauseMilliseconds: 35 }).start();
  });

  afterAll(async () => {
    const { total, failed } = await load.stop();
    await cluster.stop();
    const lines = table.map((cells) => cells.join(' | ')).join('\n');
    process.stdout.write(`${lines}\n${table.length - 1} kills, ${total} requests, ${failed} failed\n`);
  });

  describe.each([1, 2])('with %i replicas', (replicas) => {
    let plane: MortalControlPlane;

    beforeAll(async () => {
      plane = await MortalControlPlane.take(cluster, replicas);
      await waitUntilHealthy(cluster);
    });

    afterAll(async () => plane?.end());

    describe.each(strategies)('%s', (strategy) => {
      it.each(ways)(
        'on its way %s goes on after every commit',
        async (way) => {
          const { points, story } = await referenceOf(plane, strategy, way);
          expect(points.length).toBeGreaterThanOrEqual(4);
          const rounds = Math.ceil(points.length / killsMax);
          const faults: string[] = [];
          for (let round = 0; round < rounds; round++) {
            const chosen = points.filter((_, index) => index % rounds === round);
            const { missed, found } = await endure(plane, strategy, way, chosen, story);
            const outcome = found.length === 0 ? 'right' : found.join('; ');
            for (const point of chosen) {
              table.push([strategy, String(replicas), way, point, missed.includes(point) ? 'never came' : outcome]);
            }
            faults.push(...found);
            // Whether there is something to wait for when one looks is a matter of time.
            faults.push(
              ...missed.filter((point) => !point.includes(': hold,')).map((point) => `"${point}" never came`),
            );
          }
          expect(faults).toEqual([]);
        },
        1_800_000,
      );
    });
  });

  /** One orchestrator is enough to find out what there is to commit. */
  async function referenceOf(plane: MortalControlPlane, strategy: StrategyName, way: Way): Promise<Reference> {
    const key = `${strategy} ${way}`;
    const known = references.get(key);
    if (known) return known;
    const { faults, story } = await travel(plane, strategy, way, []);
    expect(faults).toEqual([]);
    const reference = { points: [...new Set(plane.points)], story };
    references.set(key, reference);
    return reference;
  }

  /** Answers what is not as it would have been without the kills, and the commits that never came. They are tried again before. */
  async function endure(
    plane: MortalControlPlane,
    strategy: StrategyName,
    way: Way,
    points: readonly string[],
    wanted: Story,
  ): Promise<{ missed: readonly string[]; found: string[] }> {
    const faults: string[] = [];
    let left = points;
    for (let attempt = 0; left.length > 0 && attempt < attemptsMax && faults.length === 0; attempt++) {
      const { faults: found, story } = await travel(plane, strategy, way, left);
      faults.push(...found);
      faults.push(...plane.accidents.map((words) => `an orchestrator died of something else: ${words}`));
      if (plane.output.includes('Decision refused')) faults.push('a decision broke an invariant');
      for (const part of ['decisions', 'events'] as const) {
        const [told, right] = [story[part].join(', '), wanted[part].join(', ')];
        if (told !== right) faults.push(`${part} were "${told}" instead of "${right}"`);
      }
      const isRising = story.revisions.every((revision, index) => revision > (story.revisions[index - 1] ?? -1));
      if (!isRising) faults.push(`revisions were ${story.revisions.join(', ')}`);
      left = left.filter((point) => !plane.deaths.includes(point));
    }
    return { missed: left, found: faults };
  }

  /** Begins and ends with the nodes on one of the two versions. */
  async function travel(plane: MortalControlPlane, strategy: StrategyName, way: Way, points: readonly string[]) {
    const [from, to] = [versions[current] ?? versions[0], versions[1 - current] ?? versions[1]];
    const before = { ...load.counts };
    const journey = new Journey(cluster, strategy, to);
    const isBack = way !== 'forward';
    await plane.dieAfter(isBack ? [] : points);
    let end = way === 'back from the middle' ? await journey.goToTheMiddle() : await journey.goForward();
    if (isBack) {
      await plane.dieAfter(points);
      end = await journey.goBack();
    } else current = 1 - current;
    const faults = await findFaults(cluster, isBack ? from : to);
    if (end.status !== (isBack ? 'RolledBack' : 'Succeeded')) faults.push(`it ended ${end.status}`);
    const failed = load.counts.failed - before.failed;
    if (failed > 0) faults.push(`${failed} requests failed: ${JSON.stringify(load.counts.failures.at(-1))}`);
    if (load.counts.total === before.total) faults.push('nothing was asked');
    return { faults, story: await loadStory(cluster, journey.deploymentId) };
  }
});
