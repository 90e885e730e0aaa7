import { describe, expect, it } from '@jest/globals';
import { experimentStages, stageRule } from '../../src/analysis/canary-plan.js';
import { detectionMinutes } from '../../src/analysis/detection-time.js';
import { AnalysisParameterError, resolveParameters } from '../../src/analysis/parameters.js';

describe('parameters', () => {
  it('replaces what is named and keeps the rest, also inside W and lvl', () => {
    const parameters = resolveParameters({ alpha: 0.001, W: { errS: 0 }, lvl: { cpu: 0.2 } });
    expect(parameters).toMatchObject({
      alpha: 0.001,
      rho: 1.15,
      W: { errS: 0, err: 0.25 },
      lvl: { cpu: 0.2, mem: 0.15 },
    });
  });

  it('takes the weights of the variant without a twin', () => {
    expect(resolveParameters({ twin: false }).W).toMatchObject({ err: 0.55, abs: 0.1, p90: 0.2, p99: 0.15, cpu: 0 });
  });

  it.each([
    [[], 'must be an object'],
    [{ alpah: 0.1 }, 'unknown parameter "alpah"'],
    [{ __proto__: null, constructor: 1 }, 'unknown parameter "constructor"'],
    [{ alpha: 0 }, '"alpha" must be a number from'],
    [{ alpha: '0.1' }, '"alpha" must be a number from'],
    [{ G: [] }, '"G" must be a list'],
    [{ W: { errs: 0.1 } }, 'not "errs"'],
    [{ W: { err: 0.9 } }, 'add up to'],
    [{ plan: [['some', 0.1, 60]] }, '"plan" must be a list'],
    [{ plan: [['all', 0.6, 60]] }, '"plan" must be a list'],
    [{ plan: [['all', 0.5, 60]] }, 'one R per stage'],
    [
      {
        plan: [
          ['all', 0.5, 60],
          ['all', 0.1, 60],
        ],
        R: [2, 2],
      },
      'must not fall',
    ],
    [{ J: 2 }, 'each needs a start'],
  ])('refuses %j, saying what is wrong', (overrides, message) => {
    expect(() => resolveParameters(overrides)).toThrow(AnalysisParameterError);
    expect(() => resolveParameters(overrides)).toThrow(message);
  });
});

describe('the plan', () => {
  const parameters = resolveParameters({});
  const weights = (nodes: string[], requestsPerSecond: number | null) =>
    experimentStages(parameters, nodes, requestsPerSecond).map(
      ({ stage, nodes: members, weight }) => `${stage}: ${members.join('')} ${Number(weight.toFixed(3))}`,
    );

  it('begins with a scout', () => {
    expect(weights(['a', 'b'], 1000)).toEqual(['0: a 0.05', '1: ab 0.1', '2: ab 0.3', '3: ab 0.5']);
    expect(weights(['a', 'b'], null)).toEqual(weights(['a', 'b'], 1000));
  });

  it('leaves the scout out on one node', () => {
    expect(weights(['a'], null)).toEqual(['1: a 0.1', '2: a 0.3', '3: a 0.5']);
  });

  it('raises small modules to two requests a second and leaves out what becomes the same', () => {
    expect(weights(['a', 'b'], 10)).toEqual(['1: ab 0.2', '2: ab 0.3', '3: ab 0.5']);
    expect(weights(['a', 'b'], 1)).toEqual(['3: ab 0.5']);
  });

  it('keeps a scout beside a stage of the same planned weight', () => {
    const plan = [
      [1, 0.05, 60],
      ['all', 0.05, 300],
    ];
    expect(experimentStages(resolveParameters({ plan, R: [5, 5] }), ['a', 'b'], null)).toHaveLength(2);
  });

  const few = ['a'];
  const many = ['a', 'b', 'c'];
  it.each([
    [
      { stage: 0, weight: 0.05, nodes: few },
      { planStage: 0, limitSeconds: 60, isLast: false },
    ],
    [
      { stage: 1, weight: 0.2, nodes: many },
      { planStage: 1, limitSeconds: 300, isLast: false },
    ],
    [
      { stage: 4, weight: 0.5, nodes: many },
      { planStage: 3, limitSeconds: 600, isLast: true },
    ],
    [
      { stage: 0, weight: 0.01, nodes: few },
      { planStage: 0, limitSeconds: 60, isLast: false },
    ],
    [
      { stage: 1, weight: 0.05, nodes: many },
      { planStage: 1, limitSeconds: 300, isLast: false },
    ],
    [
      { stage: 3, weight: 0.25, nodes: many },
      { planStage: 2, limitSeconds: 600, isLast: false },
    ],
    [
      { stage: 2, weight: 0.8, nodes: many },
      { planStage: 2, limitSeconds: 600, isLast: false },
    ],
    [
      { stage: 5, weight: 0.8, nodes: many },
      { planStage: 3, limitSeconds: 600, isLast: true },
    ],
  ])('judges a driven stage %j by the plan', (stage, rule) => {
    expect(stageRule(parameters, stage)).toEqual(rule);
  });
});

describe('minutes to detect an error rate x times as high', () => {
  // Requests per second, base rate, then minutes at 5 / 25 / 50 % for x2 and x5, as docs/analysis.md has them.
  it.each([
    [1000, 0.01, [2.8, 0.6, 0.3], [0.1, 0.0, 0.0]],
    [1000, 0.001, [28, 5.6, 2.8], [1.4, 0.4, 0.3]],
    [1000, 0.0001, [279, 56, 28], [14, 4.5, 2.5]],
    [60, 0.001, [465, 93, 47], [24, 7.4, 4.2]],
    [1, 0.01, [2791, 558, 279], [142, 45, 25]],
  ])('%s requests/s at %s', (requestsPerSecond, errorRate, double, fivefold) => {
    const parameters = resolveParameters({});
    const minutes = (errorRatio: number) =>
      [0.05, 0.25, 0.5].map((weight) =>
        detectionMinutes(parameters, { requestsPerSecond, errorRate, weight, errorRatio }),
      );
    const rounded = (values: number[]) =>
      values.map((value) => (value < 10 ? Number(value.toFixed(1)) : Math.round(value)));
    expect(rounded(minutes(2))).toEqual(double);
    expect(rounded(minutes(5))).toEqual(fivefold);
  });

  it('is never within the margin', () => {
    const question = { requestsPerSecond: 1000, errorRate: 0.01, weight: 0.5, errorRatio: 1.1 };
    expect(detectionMinutes(resolveParameters({}), question)).toBe(Infinity);
  });
});
