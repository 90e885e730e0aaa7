import { describe, expect, it } from '@jest/globals';
import type { AnalysisEvent } from '../../src/analysis/events.js';
import { resolveParameters } from '../../src/analysis/parameters.js';
import { arm, block, fold } from './streams.js';

const parameters = resolveParameters({});
const stage = (at = 0, index = 1, weight = 0.1): AnalysisEvent => ({
  kind: 'stage',
  at,
  stage: index,
  nodes: ['a', 'b'],
  weight,
});
const healthy = { C: arm(10), T: arm(10), S: arm(80) };
const failing = { C: arm(10, 10), T: arm(10), S: arm(80) };
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const seconds = (from: number, to: number, arms: Parameters<typeof block>[1][string]) =>
  range(from, to).map((at) => block(at, { a: arms, b: arms }));

describe('crossings', () => {
  it('contains at the first, with all evidence new, and rolls back at the second', () => {
    const { actions, state } = fold(parameters, [stage(), ...seconds(1, 60, failing)]);
    expect(actions).toHaveLength(2);
    expect(actions[0]).toMatch(/^\d+ contain abs$/);
    expect(actions[1]).toMatch(/^\d+ rollback abs$/);
    expect(state).toMatchObject({ crossings: 2, ended: 'rollback' });
  });

  it('keeps no evidence of the first attempt', () => {
    const first = fold(parameters, [stage(), ...seconds(1, 60, failing)]);
    const [containedAt = 0, rolledBackAt = 0] = first.actions.map((line) => Number(line.split(' ')[0]));
    expect(rolledBackAt - containedAt).toBe(containedAt);
    const next = first.verdicts.find(({ at }) => at === containedAt + 1);
    expect(next?.E).toBeLessThan(5);
  });

  it('rolls back at once when memory grows', () => {
    const grown = (at: number) => ({
      C: arm(10, 0, { cpuSeconds: 1, rssBytes: 1e8 * 1.0005 ** at }),
      T: arm(10, 0, { cpuSeconds: 1, rssBytes: 1e8 }),
      S: arm(80),
    });
    const events = range(1, 1500).map((at) => block(at, { a: grown(at), b: grown(at) }));
    const plan = [...parameters.plan];
    plan[1] = ['all', 0.1, 2000];
    const only = resolveParameters({ plan, lvl: { mem: 5 } });
    const { actions } = fold(only, [stage(), ...events]);
    expect(actions.at(-1)).toMatch(/^\d+ rollback grow$/);
    expect(actions.filter((line) => line.includes('contain'))).toEqual([]);
  });

  it('says nothing after the end', () => {
    const { verdicts } = fold(parameters, [stage(), ...seconds(1, 100, failing)]);
    expect(verdicts.at(-1)?.verdict).toBe('rollback');
  });
});

describe('reports', () => {
  const counts = (events: readonly AnalysisEvent[]) => fold(parameters, [stage(), ...events]).state.attempt.errors;

  it('drops a node’s second in all arms when one of C and T is missing', () => {
    const without = counts([block(1, { b: healthy })]);
    expect(counts([block(1, { a: { C: arm(10, 10), S: arm(80) }, b: healthy })])).toEqual(without);
    expect(counts([block(1, { a: { T: arm(10, 10), S: arm(80) }, b: healthy })])).toEqual(without);
    expect(counts([block(1, { a: failing, b: healthy })])).not.toEqual(without);
  });

  it('drops a node’s second in all arms when a counter was reset', () => {
    const without = counts([block(1, { b: healthy })]);
    expect(counts([block(1, { a: { ...failing, S: arm(-3000, -4) }, b: healthy })])).toEqual(without);
    expect(counts([block(1, { a: { ...failing, T: arm(10, 0, { cpuSeconds: -1 }) }, b: healthy })])).toEqual(without);
  });

  it('does not count nodes outside the stage', () => {
    expect(counts([block(1, { a: healthy, b: healthy, c: failing })])).toEqual(
      counts([block(1, { a: healthy, b: healthy })]),
    );
  });

  it('takes a block in once', () => {
    expect(counts([...seconds(1, 3, failing), ...seconds(2, 3, failing)])).toEqual(counts(seconds(1, 3, failing)));
  });

  it('takes no share against stable where stable did not report', () => {
    const evidence = counts([block(1, { a: { C: arm(10, 10), T: arm(10, 10) }, b: healthy })]);
    expect(evidence.errS).toEqual(counts([]).errS);
    expect(evidence.err).not.toEqual(counts([]).err);
  });
});

describe('silence of the candidate', () => {
  const silent = { T: arm(10), S: arm(80) };

  it('contains after 30 s in which only the twin reported, and rolls back the second time', () => {
    const events = [stage(), ...seconds(1, 20, healthy), ...seconds(21, 60, silent)];
    expect(fold(parameters, events).actions).toEqual(['50 contain silence']);
    const restart: AnalysisEvent = { kind: 'restart', at: 60, arms: ['C', 'T'] };
    expect(fold(parameters, [...events, restart, ...seconds(61, 99, silent)]).actions).toEqual([
      '50 contain silence',
      '90 rollback silence',
    ]);
  });

  it('does not count seconds in which the twin is silent too, nor a gap in the stream', () => {
    const events = [
      stage(),
      ...seconds(1, 20, healthy),
      ...seconds(21, 49, silent),
      ...seconds(50, 90, { S: arm(80) }),
    ];
    expect(fold(parameters, events).actions).toEqual([]);
    const gap = [stage(), ...seconds(1, 20, healthy), ...seconds(120, 120, silent)];
    expect(fold(parameters, gap).actions).toEqual([]);
  });

  it('does not count the pause of a containment', () => {
    const events = [stage(), ...seconds(1, 4, failing), ...seconds(5, 100, silent)];
    const { actions } = fold(parameters, events);
    expect(actions).toHaveLength(1);
    expect(actions[0]).toMatch(/contain/);
  });
});

describe('promotion', () => {
  it('stops all clocks from a containment until the new processes take requests', () => {
    const paused = [stage(), ...seconds(1, 4, failing), ...seconds(5, 500, { S: arm(100) })];
    expect(fold(parameters, paused).actions).toHaveLength(1);
    const { actions } = fold(parameters, [...paused, ...seconds(501, 900, healthy)]);
    expect(actions.at(-1)).toBe('800 promote not judged');
  });

  it('is not given at a weight that is no experiment', () => {
    const contained = [stage(), ...seconds(1, 4, failing), stage(4, 1, 0), ...seconds(5, 6, failing)];
    expect(fold(parameters, contained).verdicts).toHaveLength(4);
    expect(fold(parameters, [stage(0, 4, 1), ...seconds(1, 1400, { C: arm(100) })]).verdicts).toEqual([]);
  });

  it('is given once a stage, and to 100 % not before the bake, which a restart begins again', () => {
    const events = [stage(0, 3, 0.5), ...seconds(1, 1000, { C: arm(50), T: arm(50) })];
    expect(fold(parameters, events).actions).toEqual(['900 promote proved']);
    const restart: AnalysisEvent = { kind: 'restart', at: 500, arms: ['C'] };
    expect(fold(parameters, [...events.slice(0, 501), restart, ...events.slice(501)]).actions).toEqual([]);
  });
});

describe('the sample-ratio alarm', () => {
  it('voids the experiment when the coin is bent to either side, and leaves a fair one alone', () => {
    const toss = (C: number, T: number) => [stage(), ...seconds(1, 300, { C: arm(C), T: arm(T), S: arm(80) })];
    expect(fold(parameters, toss(12, 8)).actions).toContainEqual(expect.stringMatching(/void sample-ratio/));
    expect(fold(parameters, toss(8, 12)).actions.at(-1)).toMatch(/void sample-ratio/);
    expect(fold(parameters, toss(10, 10)).state.ended).toBeNull();
  });

  it('holds: no verdict after it', () => {
    const bent = { C: arm(20), T: arm(5), S: arm(80) };
    const { actions } = fold(parameters, [stage(), ...seconds(1, 100, bent), ...seconds(101, 200, failing)]);
    expect(actions).toHaveLength(1);
  });
});

describe('without a twin', () => {
  const single = resolveParameters({ twin: false });

  it('leaves out the first 45 s of each candidate process', () => {
    const worse = { C: arm(10, 10), S: arm(90) };
    const first = fold(single, [stage(), ...seconds(1, 45, worse)]);
    expect(first.verdicts.every(({ E }) => E === first.verdicts[0]?.E)).toBe(true);
    const { actions } = fold(single, [stage(), ...seconds(1, 60, worse)]);
    expect(Number(actions[0]?.split(' ')[0])).toBeGreaterThan(45);
    expect(actions[0]).toMatch(/contain err$/);
  });

  it('judges no CPU and no memory', () => {
    const { verdicts } = fold(single, [stage(), ...seconds(1, 2, { C: arm(10), S: arm(90) })]);
    expect(Object.keys(verdicts[0]?.metrics ?? {})).toEqual(['err', 'abs', 'p90', 'p99']);
  });
});
