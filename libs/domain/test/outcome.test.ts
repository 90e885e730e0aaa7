import { describe, expect, it } from '@jest/globals';
import {
  outcomeOf,
  outcomeOfStage,
  rollbackOf,
  type Deployment,
  type Stage,
  type StageRollback,
} from '@hotswap/domain';
import { now, progress } from './fleet.js';

const deploy = (change: Partial<Stage>) =>
  ({ name: 'Deploy', status: 'Succeeded', progress: progress(1), ...change }) as Stage;
const deployment = (change: Partial<Deployment>) => ({ status: 'Succeeded', request: null, ...change }) as Deployment;
const back = (change: Partial<StageRollback> = {}): StageRollback => ({
  decidedAt: now,
  confirmedAt: now + 80,
  nodes: 5,
  warmNodes: 5,
  ...change,
});
const fast = deploy({ status: 'RolledBack', rollback: back() });
const slow = deploy({ status: 'RolledBack', rollback: back({ warmNodes: 4 }) });
const promoted = deploy({ progress: progress(1, { promotedAt: now }) });

describe('The outcome', () => {
  it.each([
    ['Promoted', deployment({}), [deploy({}), deploy({ status: 'Skipped', progress: null })]],
    ['FastPromoted', deployment({}), [deploy({}), promoted]],
    ['RolledBack', deployment({ status: 'RolledBack' }), [promoted, slow]],
    ['FastRolledBack', deployment({ status: 'RolledBack' }), [promoted, fast]],
    ['Aborted', deployment({ status: 'Failed' }), []],
    ['Aborted', deployment({ status: 'Cancelled' }), [fast]],
    ['Superseded', deployment({ status: 'Superseded' }), [fast]],
    [null, deployment({ status: 'RollingBack' }), [fast]],
  ])('%s of a deployment', (outcome, of, stages) => {
    expect(outcomeOf(of, stages)).toBe(outcome);
  });

  it.each([
    ['Promoted', deploy({})],
    ['FastPromoted', promoted],
    ['RolledBack', slow],
    ['FastRolledBack', fast],
    ['Aborted', deploy({ status: 'Failed', progress: null })],
    [null, deploy({ status: 'Skipped', progress: null })],
    [null, deploy({ status: 'Running' })],
    [null, deploy({ name: 'Verify' })],
  ])('%s of a stage', (outcome, stage) => {
    expect(outcomeOfStage(deployment({}), stage)).toBe(outcome);
  });

  it('of a stage that made room is Superseded', () => {
    const superseded = deployment({ request: { kind: 'supersede', by: 'other', at: now } });
    expect(outcomeOfStage(superseded, fast)).toBe('Superseded');
  });
});

describe('The rollback of several environments', () => {
  it('lasts from the first decision to the last node of all', () => {
    const status = 'RolledBack';
    const rollback = back({ decidedAt: now + 10, confirmedAt: now + 500, nodes: 2, warmNodes: 0 });
    const second = deploy({ status, rollback });
    expect(rollbackOf([deploy({}), fast, second])).toEqual({
      decidedAt: now,
      confirmedAt: now + 500,
      nodes: 7,
      warmNodes: 5,
    });
    const unconfirmed = back({ confirmedAt: null });
    expect(rollbackOf([fast, deploy({ status, rollback: unconfirmed })])?.confirmedAt).toBeNull();
    expect(rollbackOf([deploy({})])).toBeNull();
    // An environment that had moved on was left alone.
    const leftAlone = deploy({ status: 'Succeeded', rollback: unconfirmed });
    expect(rollbackOf([fast, leftAlone])).toEqual(rollbackOf([fast]));
    expect(rollbackOf([leftAlone])).toBeNull();
  });
});
