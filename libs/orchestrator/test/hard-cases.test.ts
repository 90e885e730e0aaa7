import { describe, expect, it } from '@jest/globals';
import {
  currentStage,
  isoInstant,
  outcomeOf,
  outcomeOfStage,
  rollbackOf,
  type EnvironmentName,
  type Policy,
} from '@hotswap/domain';
import { pipeline, run } from './run-world.js';
import { World } from './world.js';

const codesOf = (world: World) => world.decisions.map(({ because }) => because.code);
const stageOf = (world: World, environment: EnvironmentName) => {
  const stage = world.stages.find((each) => each.name === 'Deploy' && each.environment === environment);
  if (!stage) throw new Error(environment);
  return stage;
};
const dayAndMore = 25 * 3_600_000;

/** What the pipeline would decide now, as its kind and code. */
async function next(world: World): Promise<string> {
  const view = await world.loadView();
  if (!view) throw new Error('It is over');
  const { kind, because } = pipeline.decide(view);
  return `${kind} ${because.code}`;
}

describe('A version that is withdrawn in the middle', () => {
  it('is taken back where it is being rolled out', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    await run(world, () => {
      if (world.serving('Production').includes('v1+v2@30'))
        world.withdrawal = { at: world.now, reason: 'leaks tokens' };
    });
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'version-withdrawn' } });
    expect(world.deployment.reason.message).toBe('payments 2.0.0 was withdrawn: leaks tokens');
    expect(world.serving('Production')).toEqual(['v1', 'v1']);
  });

  it('ends before any node was touched, where none was, though it waits for a person', async () => {
    const world = new World({ stable: 'v1', target: 'v2', requireApproval: true });
    await run(world, () => {
      if (world.deployment.status === 'AwaitingApproval') world.withdrawal = { at: world.now, reason: null };
    });
    expect(world.deployment).toMatchObject({ status: 'Failed', reason: { code: 'version-withdrawn' } });
    expect(world.serving('Staging')).toEqual(['v1', 'v1']);
    expect(outcomeOf(world.deployment, world.stages)).toBe('Aborted');
  });
});

describe('A node that joins a rollout that stands still', () => {
  const hold = {
    'a pause': (world: World) => world.say({ pausedAt: world.now }),
    'a freeze': (world: World) => {
      const windows = [{ from: isoInstant(world.now - 60_000).slice(0, 16), to: '2031-01-01T00:00' }];
      const freeze = [{ name: 'audit', timeZone: 'UTC', windows, runningRollouts: 'hold' as const }];
      world.policyOf = (policy) => ({ ...policy, freeze });
    },
  };
  const thaw = {
    'a pause': (world: World) =>
      world.say({ pauses: [{ from: world.deployment.pausedAt!, to: world.now }], pausedAt: null }),
    'a freeze': (world: World) => void (world.policyOf = (policy) => policy),
  };

  it.each(['a pause', 'a freeze'] as const)('by %s serves stable, and takes part once it goes on', async (what) => {
    const world = new World({ stable: 'v1', target: 'v2' });
    await run(
      world,
      () => world.serving('Production').includes('v1+v2@30') && hold[what](world),
      1,
      () => world.deployment.pausedAt !== null || world.decisions.at(-1)?.because.code === 'frozen',
    );
    world.join('Production-new', 'Production');
    await run(
      world,
      (pass) => pass,
      1,
      (pass) => pass > 20,
    );
    expect(world.serving('Production')).toEqual(['v1+v2@30', 'v1+v2@30', 'v1']);
    const [joined] = world.decisions.filter(({ because }) => because.code === 'nodes-joined');
    expect(joined).toMatchObject({ assign: [{ nodeId: 'Production-new' }] });
    expect(joined!.stages).toEqual([expect.not.objectContaining({ progress: expect.anything() })]);
    expect(world.decisions.filter(({ assign }) => assign.length > 0).at(-1)).toBe(joined);
    thaw[what](world);
    await run(world);
    expect(world.deployment.status).toBe('Succeeded');
    expect(world.serving('Production')).toEqual(['v2', 'v2', 'v2']);
  });
});

describe('A policy that changes in the middle', () => {
  it('counts from the next decision on', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    let changedAt = 0;
    await run(world, () => {
      if (!world.serving('Production').includes('v1+v2@10') || changedAt > 0) return;
      changedAt = world.now;
      const quick = [
        { percent: 40, minimumSeconds: 1, maximumSeconds: 2 },
        { percent: 100, minimumSeconds: 0, maximumSeconds: 0 },
      ];
      world.policyOf = (policy: Policy) => ({ ...policy, canary: { ...policy.canary, steps: quick } });
    });
    expect(world.deployment.status).toBe('Succeeded');
    expect(codesOf(world)).toContain('steps-changed');
    expect(world.now - changedAt).toBeLessThan(60_000);
  });
});

describe('The way back', () => {
  it('is waited for before the first node is touched, and told with the first step', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    const [late] = world.nodes.filter(({ environment }) => environment === 'QA');
    if (!late) throw new Error('no node');
    const made = late.made;
    late.made = null;
    await run(world, () => {
      if (stageOf(world, 'QA').status !== 'Running') late.made = null;
      else if (codesOf(world).filter((code) => code === 'way-back-not-ready').length < 5) late.made = null;
      else late.made ??= made;
    });
    expect(world.deployment.status).toBe('Succeeded');
    const first = world.decisions.find(({ because }) => because.code === 'batch');
    expect(first?.because.message).toContain('way back: 1.0.0 runs on 2 of 2 nodes, it stays started for 900 s');
  });

  it('that never gets ready ends the deployment with no node touched', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 30 });
    await run(world, () => {
      for (const node of world.nodes) if (node.environment === 'QA') node.made = null;
    });
    expect(world.deployment).toMatchObject({ status: 'Failed', reason: { code: 'way-back-deadline' } });
    expect(world.records.get('QA')).toMatchObject({ release: { version: '1.0.0' }, ownerStageId: null });
    expect(world.serving('Development')).toEqual(['v2', 'v2']);
  });
});

describe('A rollback', () => {
  it('tells how long it took, from the decision to the last node’s word, and that it was a flip', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    await run(world, () => {
      if (world.serving('Production').includes('v1+v2@50')) world.traffic.target = { requests: 1000, failures: 500 };
    });
    const { rollback } = stageOf(world, 'Production');
    expect(rollback).toMatchObject({ nodes: 2, warmNodes: 2 });
    expect((rollback?.confirmedAt ?? 0) - (rollback?.decidedAt ?? 0)).toBe(1000);
    expect(rollbackOf(world.stages)).toEqual(rollback);
    expect(outcomeOf(world.deployment, world.stages)).toBe('FastRolledBack');
    expect(outcomeOfStage(world.deployment, stageOf(world, 'QA'))).toBe('Promoted');
  });

  it('of all environments tells of each, and of all', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    await run(world, () => {
      if (world.serving('Production').includes('v1+v2@30') && !world.deployment.request)
        world.request({ kind: 'roll-back', scope: 'all', reason: null, at: world.now });
    });
    expect(world.way.map((environment) => stageOf(world, environment).rollback?.nodes)).toEqual([2, 2, 2, 2]);
    expect(rollbackOf(world.stages)).toMatchObject({ nodes: 8, warmNodes: 8, confirmedAt: expect.any(Number) });
  });

  it('that a node never confirms is said to a person, and ends after a day', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 60 });
    let held = 0;
    await run(world, () => {
      if (world.serving('Production').includes('v1+v2@10')) world.traffic.target = { requests: 1000, failures: 500 };
      if (world.deployment.status !== 'RollingBack') return;
      const [stuck] = world.nodes.filter(({ environment }) => environment === 'Production');
      if (stuck) stuck.made = null;
      if (world.deployment.reason.code === 'rollback-unconfirmed') held++;
    });
    expect(held).toBeGreaterThan(1000);
    expect(world.deployment).toMatchObject({ status: 'RolledBack' });
    expect(codesOf(world)).toContain('rollback-given-up');
    expect(world.records.get('Production')).toMatchObject({ release: { version: '1.0.0' }, ownerStageId: null });
  });

  it('where both are broken holds, asks a person, and ends after a day', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 60 });
    let held = 0;
    await run(world, () => {
      if (world.statusOf('Deploy', 'QA') === 'Running') ['1.0.0', '2.0.0'].forEach((each) => world.broken.add(each));
      if (world.deployment.reason.code === 'stable-broken') held++;
    });
    expect(held).toBeGreaterThan(1000);
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'target-failed' } });
  });
});

describe('A wait for another deployment', () => {
  it('ends after a day', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    world.say({ supersedes: { id: 'other', status: 'RollingBack' } });
    expect(await next(world)).toBe('hold superseding');
    const view = await world.loadView();
    if (!view) throw new Error('no view');
    await world.commit(view, pipeline.decide(view));
    world.now += dayAndMore;
    for (const node of world.nodes) node.heartbeatAt = world.now;
    await run(world);
    expect(world.deployment).toMatchObject({ status: 'Failed', reason: { code: 'superseding-deadline' } });
  });
});

describe('A pause', () => {
  it('keeps the clock of what was waited for, and does not run it', async () => {
    const world = new World({ stable: 'v1', target: 'v2', upTo: 'Staging', secondsPerPass: 600 });
    world.policyOf = (policy) => ({ ...policy, blueGreen: { ...policy.blueGreen, autoPromote: false } });
    let askedAt = 0;
    let pausedPasses = 0;
    await run(world, () => {
      if (world.deployment.reason.code === 'awaiting-promotion' && askedAt === 0) askedAt = world.now;
      if (askedAt > 0 && world.now - askedAt > 3_600_000 && pausedPasses === 0) world.say({ pausedAt: world.now });
      if (world.deployment.pausedAt !== null && ++pausedPasses === 100)
        world.say({ pauses: [{ from: world.deployment.pausedAt, to: world.now }], pausedAt: null });
    });
    expect(world.deployment).toMatchObject({ status: 'RolledBack', reason: { code: 'nobody-decided' } });
    const waited = world.now - askedAt - 100 * 600_000;
    expect(waited).toBeGreaterThan(23 * 3_600_000);
    expect(waited).toBeLessThan(26 * 3_600_000);
  });
});

describe('A promotion', () => {
  it('makes the outcome a fast one', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    let said = false;
    await run(world, () => {
      if (world.serving('Production').includes('v1+v2@10') && !said) {
        said = true;
        world.say({ promotion: 'step' });
      }
    });
    expect(outcomeOf(world.deployment, world.stages)).toBe('FastPromoted');
    expect(outcomeOfStage(world.deployment, stageOf(world, 'Production'))).toBe('FastPromoted');
    expect(outcomeOfStage(world.deployment, stageOf(world, 'QA'))).toBe('Promoted');
  });
});

describe('The old release', () => {
  it('is given up only after every node has confirmed the new one', async () => {
    const world = new World({ stable: 'v1', target: 'v2' });
    await run(world, () => {
      const stage = currentStage(world.stages);
      if (stage?.name !== 'Deploy' || stage.status !== 'Running' || !stage.progress) return;
      for (const { environment, plan } of world.nodes) {
        if (environment !== stage.environment || !plan) continue;
        const kept = [plan.active, plan.candidate, ...plan.warm].some((each) => each?.version === '1.0.0');
        expect(kept).toBe(true);
      }
    });
    expect(world.deployment.status).toBe('Succeeded');
  });
});

describe('A strategy that this process lacks', () => {
  it('is waited for, then the rollout ends', async () => {
    const world = new World({ stable: 'v1', target: 'v2', secondsPerPass: 30 });
    world.policyOf = (policy) => ({ ...policy, strategy: 'OneByOne' });
    await run(world);
    expect(world.deployment).toMatchObject({ status: 'Failed', reason: { code: 'strategy-missing' } });
    expect(world.serving('Development')).toEqual(['v1', 'v1']);
  });
});
