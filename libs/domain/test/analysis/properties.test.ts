import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { runCanary } from '../../../../bench/canary/canary-run.js';
import { noRegression, standardWorld } from '../../../../bench/canary/scenario.js';
import type { AnalysisEvent, Arm, ArmSample, BlockEvent, NodeSample } from '../../src/analysis/events.js';
import { resolveParameters } from '../../src/analysis/parameters.js';
import { sampleRatioWealth } from '../../src/analysis/sample-ratio.js';
import { fold } from './streams.js';

const parameters = resolveParameters({});
const nodeIds = ['a', 'b', 'c'];
const stage: AnalysisEvent = { kind: 'stage', at: 0, stage: 2, nodes: nodeIds, weight: 0.3 };

const armSample = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 7, maxLength: 7 }), fc.integer({ min: 0, max: 2 }))
  .map(([latency, errors]): ArmSample => {
    const requests = latency.reduce((sum, count) => sum + count, 0);
    return { requests, errors: Math.min(errors, requests), latency };
  });
const arms = fc.record({ C: armSample, T: armSample, S: armSample });
const stream = fc.array(fc.tuple(arms, arms, arms), { minLength: 1, maxLength: 40 }).map((all) =>
  all.map((each, i): BlockEvent => ({
    kind: 'block',
    at: i + 1,
    nodes: each.map((sample, n) => ({ id: nodeIds[n] ?? '', arms: sample })),
  })),
);

const mapNodes = (blocks: readonly BlockEvent[], map: (nodes: readonly NodeSample[]) => readonly NodeSample[]) =>
  blocks.map((block) => ({ ...block, nodes: map(block.nodes) }));

/** A healthy stream as a cluster of five nodes would give it, and the stages it went through. */
function healthyStream(seed: number): AnalysisEvent[] {
  const events: AnalysisEvent[] = [];
  const world = { ...standardWorld, nodeCount: 5 };
  const scenario = { name: 'healthy', world, regression: noRegression, isHealthy: true };
  runCanary(scenario, parameters, [17, seed], 400, (event) => events.push(event));
  return events;
}

const swapped = (sample: NodeSample): NodeSample => {
  const { C, T, S } = sample.arms;
  return { id: sample.id, arms: { ...(T && { C: T }), ...(C && { T: C }), ...(S && { S }) } };
};

describe('the analysis', () => {
  it('gives the same verdicts however the nodes are ordered', () => {
    fc.assert(
      fc.property(stream, (blocks) => {
        const reversed = mapNodes(blocks, (nodes) => [...nodes].reverse());
        expect(fold(parameters, [stage, ...reversed])).toEqual(fold(parameters, [stage, ...blocks]));
      }),
      { numRuns: 30 },
    );
  });

  it('gives the same E to counts and latency when a node is split in two', () => {
    const split = (sample: NodeSample): NodeSample[] => {
      const part = (keep: (count: number) => number): NodeSample['arms'] =>
        Object.fromEntries(
          Object.entries(sample.arms).map(([name, { requests, errors, latency }]) => [
            name,
            { requests: keep(requests), errors: keep(errors), latency: latency.map(keep) },
          ]),
        );
      return [
        { id: sample.id, arms: part((count) => Math.floor(count / 2)) },
        { id: `${sample.id}2`, arms: part((count) => Math.ceil(count / 2)) },
      ];
    };
    fc.assert(
      fc.property(stream, (blocks) => {
        const wider = { ...stage, nodes: nodeIds.flatMap((id) => [id, `${id}2`]) };
        const halves = mapNodes(blocks, (nodes) => nodes.flatMap(split));
        const strip = ({ verdicts }: ReturnType<typeof fold>) =>
          verdicts.map(({ E, metrics, proof }) => ({ E, metrics, proof }));
        expect(strip(fold(parameters, [wider, ...halves]))).toEqual(strip(fold(parameters, [stage, ...blocks])));
      }),
      { numRuns: 30 },
    );
  });

  it('never lowers E for one more error of the candidate', () => {
    let risen = 0;
    fc.assert(
      fc.property(stream, fc.nat(), fc.nat({ max: 2 }), (blocks, which, node) => {
        const before = fold(parameters, [stage, ...blocks]);
        // After a containment the evidence is another attempt's.
        fc.pre(before.actions.length === 0);
        const at = which % blocks.length;
        const worse = blocks.map((block, i) =>
          i !== at
            ? block
            : {
                ...block,
                nodes: block.nodes.map((sample, n) =>
                  n !== node || !sample.arms.C
                    ? sample
                    : {
                        ...sample,
                        arms: { ...sample.arms, C: { ...sample.arms.C, errors: sample.arms.C.errors + 1 } },
                      },
                ),
              },
        );
        const after = fold(parameters, [stage, ...worse]);
        before.verdicts.forEach(({ E }, i) => {
          if (
            after.verdicts[i] === undefined ||
            after.verdicts.slice(0, i).some(({ verdict }) => verdict === 'contain')
          )
            return;
          expect(after.verdicts[i].E).toBeGreaterThanOrEqual(E * (1 - 1e-12));
          if (after.verdicts[i].E > E) risen += 1;
        });
      }),
      { numRuns: 60 },
    );
    expect(risen).toBeGreaterThan(50);
  });

  it('answers a replay with the same log', () => {
    const events = healthyStream(1);
    expect(fold(parameters, events)).toEqual(fold(parameters, structuredClone(events)));
  });

  it('treats C and T alike: a healthy stream with the arms swapped is another healthy stream', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const events = healthyStream(seed);
      const mirrored = events.map((event) =>
        event.kind === 'block' ? { ...event, nodes: event.nodes.map(swapped) } : event,
      );
      const [as, mirror] = [fold(parameters, events), fold(parameters, mirrored)];
      expect(mirror.state.ended).toBeNull();
      expect(sampleRatioWealth(mirror.state.sampleRatio)).toBe(sampleRatioWealth(as.state.sampleRatio));
      expect(mirror.state.sampleRatio.tooMany).toEqual(as.state.sampleRatio.tooFew);
    }
  });

  it('never rolls a healthy stream back because reports come in another order, late, or not at all', () => {
    const streams = [1, 2, 3].map(healthyStream);
    for (const events of streams) expect(fold(parameters, events).state.ended).toBeNull();
    fc.assert(
      fc.property(fc.constantFrom(...streams), fc.infiniteStream(fc.nat({ max: 39 })), (events, chances) => {
        const late = new Map<string, NodeSample>();
        const told = events.map((event) => {
          if (event.kind !== 'block') return event;
          const nodes: NodeSample[] = [];
          for (const sample of [...event.nodes].reverse()) {
            const chance = chances.next().value;
            const held = late.get(sample.id);
            if (chance === 0) late.set(sample.id, held ? merged(held, sample) : sample);
            else if (chance > 1) {
              nodes.push(held ? merged(held, sample) : sample);
              late.delete(sample.id);
            }
          }
          return { ...event, nodes };
        });
        expect(fold(parameters, told).state.ended).toBeNull();
      }),
      { numRuns: 6 },
    );
  });
});

function merged(a: NodeSample, b: NodeSample): NodeSample {
  const arms: NodeSample['arms'] = {};
  for (const name of ['C', 'T', 'S'] as Arm[]) {
    const [x, y] = [a.arms[name], b.arms[name]];
    if (!x || !y) continue;
    arms[name] = {
      requests: x.requests + y.requests,
      errors: x.errors + y.errors,
      latency: x.latency.map((count, i) => count + (y.latency[i] ?? 0)),
      cpuSeconds: (x.cpuSeconds ?? 0) + (y.cpuSeconds ?? 0),
      rssBytes: y.rssBytes ?? null,
    };
  }
  return { id: b.id, arms };
}
