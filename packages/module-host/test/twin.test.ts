import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { HostFixture, plainModule } from './host-fixture.js';

let fixture: HostFixture;
beforeEach(() => void (fixture = new HostFixture()));
afterEach(() => fixture.close());

async function send(count: number, headers: (n: number) => [string, string][] = () => []) {
  const pids = new Map<string, number>();
  for (let sent = 0; sent < count; sent += 20) {
    const answers = Array.from({ length: 20 }, (_, n) => fixture.get('shop', '/', { headers: headers(sent + n) }));
    for (const { release, text } of await Promise.all(answers)) {
      const key = `${release} ${(JSON.parse(text) as { pid: number }).pid}`;
      pids.set(key, (pids.get(key) ?? 0) + 1);
    }
  }
  return pids;
}

describe('A twin', () => {
  it('is a fresh instance of the active release with the same share as the candidate, counted apart', async () => {
    const [one, two] = [fixture.release('shop@1.0.0'), fixture.release('shop@2.0.0')];
    await fixture.reach(one);
    const stable = fixture.instance(one)!.pid;
    await fixture.reach(one, { candidate: two, candidatePercent: 25, twin: true });
    await fixture.until('the twin is ready', () => fixture.report('shop').twin === true);
    fixture.host.takeTraffic();
    const count = 4000;
    const pids = await send(count);
    const twin = fixture.report('shop').instances.find((instance) => instance.twin)!;
    expect(twin).toMatchObject({ release: one.digest, state: 'Ready' });
    expect(twin.pid).not.toBe(stable);
    const sigma = Math.sqrt(count * 0.25 * 0.75);
    for (const key of [`shop@1.0.0 ${twin.pid}`, `shop@2.0.0 ${fixture.instance(two)!.pid}`])
      expect(Math.abs(pids.get(key)! - count / 4)).toBeLessThan(5 * sigma);
    const samples = fixture.host.takeTraffic();
    expect(Object.fromEntries(samples.map(({ role = 'active', requests }) => [role, requests]))).toEqual({
      active: pids.get(`shop@1.0.0 ${stable}`),
      candidate: pids.get(`shop@2.0.0 ${fixture.instance(two)!.pid}`),
      twin: pids.get(`shop@1.0.0 ${twin.pid}`),
    });

    await fixture.reach(one);
    await fixture.until('candidate and twin have ended', () => fixture.report('shop').instances.length === 1);
    expect(fixture.report('shop').twin).toBeUndefined();
    await fixture.reach(one, { candidate: two, candidatePercent: 25, twin: true });
    await fixture.until('another twin is ready', () => fixture.report('shop').twin === true);
    expect(fixture.report('shop').instances.find((instance) => instance.twin)!.pid).not.toBe(twin.pid);
    await fixture.reach(two);
    await fixture.until('the candidate alone is left', () => fixture.report('shop').instances.length === 1);
  });
});

describe('A share by key', () => {
  it('keeps who sends the same value with the same release, and is as exact as one by chance', async () => {
    const affinity = { header: 'x-user' };
    const [one, two] = ['1.0.0', '2.0.0'].map((version) =>
      fixture.release(`shop@${version}`, plainModule, { affinity }),
    ) as [ReturnType<typeof fixture.release>, ReturnType<typeof fixture.release>];
    await fixture.reach(one, { candidate: two, candidatePercent: 30 });
    const releaseOf = async (user: number) =>
      (await fixture.get('shop', '/', { headers: [['X-User', `u${user}`]] })).release;
    const users = Array.from({ length: 600 }, (_, user) => user);
    const first = await Promise.all(users.map(releaseOf));
    expect(await Promise.all(users.map(releaseOf))).toEqual(first);
    const candidates = first.filter((release) => release === 'shop@2.0.0').length;
    expect(Math.abs(candidates - 180)).toBeLessThan(5 * Math.sqrt(600 * 0.3 * 0.7));
    await fixture.reach(one, { candidate: two, candidatePercent: 60 });
    const later = await Promise.all(users.map(releaseOf));
    expect(first.every((release, user) => release === 'shop@1.0.0' || later[user] === release)).toBe(true);
  });
});
