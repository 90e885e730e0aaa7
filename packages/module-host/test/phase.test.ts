import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Phase } from '../src/index.js';
import { HostFixture, isAlive } from './host-fixture.js';

let fixture: HostFixture;
let phases: Phase[];
beforeEach(() => {
  phases = [];
  fixture = new HostFixture({}, { onPhase: (phase) => phases.push(phase) });
});
afterEach(() => fixture.close());

const told = () => phases.map(({ phase, spec, error }) => [spec.version, phase, error]);

describe('The phases that are told', () => {
  it('are those that a release has been through, with why one failed', async () => {
    await fixture.reach(fixture.release('shop@1.0.0'));
    const broken = `export default { fetch: () => new Response('x'), start() { throw new Error('no pool'); } };`;
    await fixture.reach(fixture.release('shop@2.0.0', broken));
    expect(told()).toEqual([
      ['1.0.0', 'load', null],
      ['1.0.0', 'start', null],
      ['1.0.0', 'activate', null],
      ['2.0.0', 'load', null],
      ['2.0.0', 'start', 'no pool'],
    ]);
  });

  it('have none that was given up because the release is not wanted any more', async () => {
    const one = fixture.release('shop@1.0.0');
    const endless = `export default { fetch: () => new Response('x'), start() { console.log('starts'); return new Promise(() => {}); } };`;
    await fixture.reach(one);
    const two = fixture.release('shop@2.0.0', endless);
    fixture.apply(two);
    await fixture.until('it starts', () => fixture.logs.some(({ message }) => message === 'starts'));
    await fixture.until('it has a process', () => typeof fixture.instance(two)?.pid === 'number');
    const { pid } = fixture.instance(two)!;
    await fixture.reach(one);
    await fixture.until('it has ended', () => !isAlive(pid!));
    // Whatever its end has to tell is told by the time that another release is up.
    await fixture.reach(fixture.release('shop@3.0.0'));
    expect(told().filter(([version]) => version === '2.0.0')).toEqual([['2.0.0', 'load', null]]);
  });
});
