import { describe, expect, it } from '@jest/globals';
import { decideRolling, type Policy } from '@hotswap/domain';
import { code, now, plans, progress, view, withFacts } from './fleet.js';

const allowing = (maxUnavailable: string, maxSurge = '0') => ({
  environment: 'QA' as const,
  policyOf: (policy: Policy): Policy => ({ ...policy, rolling: { ...policy.rolling, maxUnavailable, maxSurge } }),
});
const batch = (line: string, maxUnavailable: string, running = false) =>
  Object.keys(
    plans(decideRolling(view(line, { ...allowing(maxUnavailable), progress: running ? progress(1) : null }))),
  );

describe('A rolling batch', () => {
  it('takes nodes in the order of their ids where zones are not known', () => {
    expect(batch('a:v1 b:v1 c:v1 d:v1', '3')).toEqual(['a', 'b', 'c']);
    expect(batch('a:v1/x b:v1/x c:v1/x', '3')).toEqual(['a', 'b', 'c']);
  });

  it('spreads over the zones, the least touched first', () => {
    expect(batch('a:v1/x b:v1/x c:v1/y d:v1/y e:v1/z f:v1/z', '3')).toEqual(['a', 'c', 'e']);
    expect(batch('a:v1/x b:v1/x c:v1/x d:v1/x e:v1/y f:v1/y', '3')).toEqual(['a', 'b', 'e']);
    expect(batch('a:v2?/x b:v1/x c:v1/y d:v1/y', '2', true)).toEqual(['c']);
  });

  it('never takes a whole zone at once, however much the budget allows', () => {
    expect(batch('a:v1/x b:v1/x c:v1/y d:v1/y', '100%')).toEqual(['a', 'c']);
    expect(batch('a:v1~/x b:v1/x c:v1/y d:v1/y', '3')).toEqual(['c']);
  });

  it('takes the last node of a zone when nothing else is left', () => {
    expect(batch('a:v1~/x b:v1/x c:v2/y d:v2/y', '2', true)).toEqual(['b']);
    expect(batch('a:v1/x b:v1/y', '1')).toEqual(['a']);
  });

  it('takes nodes on which stable can’t run first, all at once: they cost no capacity', () => {
    expect(batch('a:v1 b:v1! c:v1 d:v1!', '1')).toEqual(['b', 'd']);
    const decision = decideRolling(view('a:v1 b:v1! c:v1', allowing('1')));
    expect(decision.because.message).toContain("because 1.0.0 can't run there");
  });
});

describe('A rolling update', () => {
  it('gives a node that joins stable until its turn', () => {
    const joined = view('a:v2 b:v1 c:-', { ...allowing('1'), progress: progress(1) });
    expect(plans(decideRolling(joined))).toEqual({ c: 'v1' });
  });

  it('holds while silent nodes take up what may be away, then goes on without them', () => {
    const waiting = view('a:v2 b:v1 c:v1~', { ...allowing('1'), progress: progress(1) });
    const held = decideRolling(waiting);
    expect(code(held)).toBe('hold no-budget');
    // 15 s until it is lost, 600 s on top; it was last heard 60 s ago.
    expect(held.because.data['untilAt']).toBe(new Date(now + 555_000).toISOString());
    const later = withFacts(waiting, 'c', () => ({ lastHeartbeatAt: now - 616_000 }));
    expect(plans(decideRolling(later))).toEqual({ b: 'v2 warm v1' });
  });

  it('says until when a node has to be ready', () => {
    const held = decideRolling(view('a:v2<2 b:v1', { ...allowing('1'), progress: progress(1) }));
    expect(held.because.data['untilAt']).toBe(new Date(now + 3000).toISOString());
  });
});
