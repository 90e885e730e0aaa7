import { describe, expect, it } from '@jest/globals';
import { decideCanary } from '@hotswap/domain';
import type { AnalysisView, ArmSample, ClosedBlock, Decision, Policy, ProbeOrder, RolloutView } from '@hotswap/domain';
import { fleet, now, progress, view } from './fleet.js';

const nodes = ['a', 'b'];

/** Two nodes under the canary, looked at second by second; `arms` says what each node's processes answered in one second. */
class Trial {
  private analysis: AnalysisView = { revision: 0, memory: null, blocks: [] };
  private current: RolloutView['progress'] = null;
  private at = now;
  decisions: Decision[] = [];
  line = 'a:v1 b:v1';

  constructor(private readonly policyOf: (policy: Policy) => Policy = (policy) => policy) {}

  look(changes: Partial<RolloutView> = {}): Decision {
    const built = view(this.line, {
      policyOf: this.policyOf,
      progress: this.current,
      analysis: this.analysis,
      ...changes,
    });
    const cluster = Object.assign(Object.create(Object.getPrototypeOf(built.cluster)), built.cluster, {
      now: this.at,
      listening: { beatAt: this.at, gaps: [] },
    }) as RolloutView['cluster'];
    for (const node of cluster.nodes) Object.assign(node.facts, { lastHeartbeatAt: this.at });
    const decision = decideCanary({ ...built, cluster, startedAt: now });
    this.decisions.push(decision);
    if (decision.analysis) this.analysis = { revision: 1, memory: decision.analysis.memory, blocks: [] };
    if (decision.kind === 'advance') this.current = decision.progress;
    return decision;
  }

  /** Seconds pass, one block each, one look each; ends at the first decision that is no hold. */
  run(seconds: number, arms: (second: number) => Partial<Record<'C' | 'T' | 'S', ArmSample>>): Decision | null {
    for (let second = 0; second < seconds; second++) {
      this.at += 1000;
      const block: ClosedBlock = { at: this.at, nodes: nodes.map((id) => ({ id, arms: arms(second) })) };
      this.analysis = { ...this.analysis, blocks: [block] };
      const decision = this.look();
      if (decision.kind !== 'hold') return decision;
    }
    return null;
  }
}

function arm(requests: number, errors: number): ArmSample {
  const latency = new Array<number>(126).fill(0);
  latency[20] = Math.floor(requests * 0.8);
  latency[40] = requests - Math.floor(requests * 0.8) - Math.floor(requests * 0.1);
  latency[42] = Math.floor(requests * 0.1);
  return { requests, errors, latency, cpuSeconds: 0.01 * requests, rssBytes: 5e7 };
}

const healthy = () => ({ C: arm(20, 0), T: arm(20, 0), S: arm(160, 0) });
const failing = () => ({ C: arm(20, 4), T: arm(20, 0), S: arm(160, 0) });
const short = (policy: Policy): Policy => ({
  ...policy,
  canary: {
    scout: null,
    steps: [
      { percent: 10, minimumSeconds: 20, maximumSeconds: 400 },
      { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
    ],
    analysis: { twin: true, bakeSeconds: 0, inconclusive: 'advance', parameters: {} },
  },
});

describe('An analysis that the policy asks for in the middle of a step', () => {
  it('begins with the next look, so that its bake can end', () => {
    const decision = decideCanary(
      view('a:v1+v2@10 b:v1+v2@10', {
        progress: progress(1, { stepStartedAt: now - 1000 }),
        analysis: { revision: 0, memory: null, blocks: [] },
        policyOf: (policy) => ({
          ...policy,
          canary: { ...policy.canary, analysis: { ...policy.canary.analysis!, twin: false } },
        }),
      }),
    );
    expect(decision.kind).toBe('hold');
    expect(decision.analysis?.memory.beganAt).toBe(now);
    expect(decision.analysis?.entries).toMatchObject([{ kind: 'stage', weight: 0.1, nodes }]);
  });
});

describe('A canary with its analysis', () => {
  it('gives target and twin the same share, and tells the analysis so', () => {
    const trial = new Trial(short);
    const decision = trial.look();
    expect(decision).toMatchObject({ kind: 'advance', progress: { number: 1 } });
    if (decision.kind !== 'advance') return;
    expect(decision.assign.map(({ plan }) => [plan.candidatePercent, plan.twin])).toEqual([
      [10, true],
      [10, true],
    ]);
    expect(decision.analysis?.entries).toEqual([{ kind: 'stage', at: 0, stage: 0, nodes, weight: 0.1 }]);
  });

  it('goes on as soon as the target is proved, not before the shortest and long before the longest time', () => {
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const began = trial.decisions.length;
    const next = withTwins(trial, () => trial.run(400, healthy));
    expect(next).toMatchObject({ kind: 'advance', progress: { targetPercent: 100 } });
    const seconds = trial.decisions.length - began;
    expect(seconds).toBeGreaterThanOrEqual(20);
    expect(seconds).toBeLessThan(300);
  });

  it('takes a failing target off all nodes, tries it once more with new processes, and then rolls back', () => {
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const first = withTwins(trial, () => trial.run(60, failing));
    expect(first).toMatchObject({ kind: 'advance', because: { code: 'contained' }, progress: { number: 1 } });
    if (first?.kind !== 'advance') return;
    expect(first.assign.map(({ plan }) => [plan.active?.version, plan.candidate])).toEqual([
      ['1.0.0', null],
      ['1.0.0', null],
    ]);
    expect(first.analysis?.entries.map(({ kind }) => kind)).toEqual(['verdict', 'stage']);
    trial.line = 'a:v1? b:v1';
    expect(trial.look()).toMatchObject({ kind: 'hold', because: { code: 'waiting-for-nodes' } });
    trial.line = 'a:v1 b:v1';
    const again = trial.look();
    expect(again).toMatchObject({ kind: 'advance', progress: { number: 1, targetPercent: 10 } });
    expect(again.analysis?.entries.map(({ kind }) => kind)).toEqual(['restart', 'stage']);
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const second = withTwins(trial, () => trial.run(60, failing));
    expect(second).toMatchObject({ kind: 'roll-back', because: { code: 'canary-worse' } });
    expect(second?.because.message).toContain('failed on 2.0.0');
  });

  it('takes a failing target off also while it is paused, and begins nothing anew then', () => {
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const first = withTwins(trial, () => {
      const look = trial.look.bind(trial);
      trial.look = () => look({ isPaused: true });
      return trial.run(60, failing);
    });
    expect(first).toMatchObject({ kind: 'advance', because: { code: 'contained' } });
    trial.line = 'a:v1 b:v1';
    expect(trial.look({ isPaused: true })).toMatchObject({ kind: 'hold', because: { code: 'paused' } });
  });

  it('follows its policy when nothing could be proved: goes on, or waits for a person', () => {
    const silent = () => ({ C: arm(0, 0), T: arm(0, 0), S: arm(0, 0) });
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const next = withTwins(trial, () => trial.run(450, silent));
    expect(next).toMatchObject({ kind: 'advance', progress: { targetPercent: 100 } });
    const careful = new Trial((policy) => {
      const shortened = short(policy);
      return {
        ...shortened,
        canary: { ...shortened.canary, analysis: { ...shortened.canary.analysis!, inconclusive: 'hold' } },
      };
    });
    careful.look();
    careful.line = 'a:v1+v2@10 b:v1+v2@10';
    expect(withTwins(careful, () => careful.run(450, silent))).toBeNull();
    expect(careful.decisions.at(-1)).toMatchObject({ kind: 'hold', because: { code: 'not-judged' } });
  });

  it('lets nodes probe where users send too little: goes on when that proves something, and waits for a person when it does not', () => {
    const probing = () =>
      new Trial((policy) => {
        const shortened = short(policy);
        const analysis = { ...shortened.canary.analysis!, inconclusive: 'probe' as const };
        return { ...shortened, progressDeadlineSeconds: 1200, canary: { ...shortened.canary, analysis } };
      });
    const none = { C: arm(0, 0), T: arm(0, 0), S: arm(0, 0) };
    const begin = (trial: Trial) => {
      trial.look();
      trial.line = 'a:v1+v2@10 b:v1+v2@10';
      const asked = withTwins(trial, () => trial.run(402, () => none));
      expect(asked).toMatchObject({ kind: 'advance', because: { code: 'probing' }, progress: { number: 1 } });
      if (asked?.kind !== 'advance') throw new Error('unreachable');
      const orders = asked.assign.map(({ plan }) => plan.probe);
      expect(orders).toEqual([orders[0], orders[0]]);
      expect(orders[0]).toMatchObject({ requestsPerSecond: 25, requestsMax: 10_000 });
      expect(asked.assign.map(({ plan }) => [plan.candidatePercent, plan.twin])).toEqual([
        [10, true],
        [10, true],
      ]);
      return orders[0]!;
    };

    const answered = probing();
    begin(answered);
    const next = withTwins(answered, () => answered.run(800, () => ({ C: arm(12, 0), T: arm(12, 0) })));
    expect(next).toMatchObject({ kind: 'advance', progress: { targetPercent: 100 } });

    const failing = probing();
    begin(failing);
    const contained = withTwins(failing, () => failing.run(800, () => ({ C: arm(12, 12), T: arm(12, 0) })));
    expect(contained).toMatchObject({ kind: 'advance', because: { code: 'contained' } });
    expect(contained?.because.message).toContain('no user has asked 2.0.0');

    const unanswered = probing();
    const probe = begin(unanswered);
    const over = withTwins(unanswered, () => unanswered.run(950, () => none), probe);
    expect(over).toMatchObject({ kind: 'advance', because: { code: 'probed' }, progress: { targetPercent: 10 } });
    expect(over?.kind === 'advance' && over.assign.map(({ plan }) => plan.probe)).toEqual([undefined, undefined]);
    expect(withTwins(unanswered, () => unanswered.run(50, () => none))).toBeNull();
    expect(unanswered.decisions.at(-1)).toMatchObject({ kind: 'hold', because: { code: 'not-judged' } });
  });

  it('bakes before the last step, however early the proof', () => {
    const trial = new Trial((policy) => {
      const shortened = short(policy);
      return {
        ...shortened,
        canary: { ...shortened.canary, analysis: { ...shortened.canary.analysis!, bakeSeconds: 300 } },
      };
    });
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    expect(withTwins(trial, () => trial.run(299, healthy))).toBeNull();
    expect(withTwins(trial, () => trial.run(3, healthy))).toMatchObject({ kind: 'advance' });
  });

  it('leaves a fault of all nodes to nobody: what fails alike is no fault of the target', () => {
    const outage = () => ({ C: arm(20, 20), T: arm(20, 20), S: arm(160, 160) });
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1+v2@10 b:v1+v2@10';
    const next = withTwins(trial, () => trial.run(400, outage));
    expect(next).toMatchObject({ kind: 'advance', progress: { targetPercent: 100 } });
  });

  it('does without a twin where nodes give none, but waits for one that is slow to start', () => {
    const alone = () => ({ C: arm(20, 0), S: arm(180, 0) });
    const late = (second: number) => (second < 3 ? alone() : healthy());
    for (const [arms, twin] of [
      [alone, false],
      [late, true],
    ] as const) {
      const trial = new Trial(short);
      trial.look();
      trial.line = 'a:v1+v2@10<0 b:v1+v2@10<0';
      withTwins(trial, () => trial.run(15, arms));
      expect(trial.decisions.at(-1)?.analysis?.memory.parameters.twin).toBe(twin);
    }
  });

  it('takes silence for no fault where stable runs nowhere any more, and every node has the target whole', () => {
    const trial = new Trial(short);
    trial.look();
    trial.line = 'a:v1! b:v1!';
    expect(trial.look().because.code).toBe('nothing-to-lose');
    trial.line = 'a:v2 b:v2';
    expect(trial.run(120, () => ({}))).toBeNull();
    const stages = trial.decisions.flatMap(({ analysis }) => analysis?.entries ?? []);
    expect(stages.map((entry) => entry.kind === 'stage' && entry.weight)).toEqual([0.1, 0]);
  });

  it('judges by the plain guards where no analysis is kept', () => {
    const cluster = fleet('a:v1+v2@10 b:v1+v2@10');
    const traffic = {
      target: { requests: 1000, failures: 20 },
      stable: { requests: 9000, failures: 9 },
      before: { requests: 0, failures: 0 },
    };
    const bad = decideCanary(view('', { cluster, progress: progress(1), traffic }));
    expect(bad).toMatchObject({ kind: 'roll-back', because: { code: 'failed-share-above-stable' } });
  });
});

/** The fleet notation knows no twins: nodes are taken to have what the step asks. */
function withTwins<T>(trial: Trial, run: () => T, probe?: ProbeOrder): T {
  const look = trial.look.bind(trial);
  trial.look = (changes = {}) => {
    const built = fleet(trial.line);
    for (const node of built.nodes) {
      const assignment = node.assignment('payments');
      if (assignment?.candidate) Object.assign(assignment, { twin: true, probe });
    }
    return look({ cluster: built, ...changes });
  };
  try {
    return run();
  } finally {
    trial.look = look;
  }
}
