import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ReleaseSpec } from '@hotswap/agent-protocol';
import { freePort } from '../../../tools/free-port.js';
import { HostFixture } from './host-fixture.js';

/**
 * Its background work is to listen on a port that only one process can have: until the process has ended, or has been told to stop. It takes its time for
 * both, and may die at any moment; 3.0.0 never answers that it has stopped.
 */
const source = `
import { createServer } from 'node:net';
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const dies = (env) => { if (Math.random() < env.deathShare) process.exit(7); };
let server = null; let env;
export default {
  start(given) { env = given; },
  async activate() {
    await pause(Math.random() * 20);
    dies(env);
    server = createServer();
    await new Promise((resolve, reject) => server.once('error', reject).listen(env.port, '127.0.0.1', resolve));
    console.log('begins');
    await pause(Math.random() * 20);
    dies(env);
  },
  async deactivate() {
    await pause(Math.random() * 20);
    dies(env);
    if (env.version === '3.0.0') await new Promise(() => {});
    if (server?.listening) await new Promise((resolve) => server.close(resolve));
    await pause(Math.random() * 20);
  },
  fetch(request, env) {
    if (new URL(request.url).pathname === '/exit') process.exit(8);
    return Response.json({ version: env.version, pid: process.pid });
  },
};`;

/** What comes after a step: a pause, in which little may happen; or all that was asked for is reached or has failed, or so many seconds are over. */
interface Timing {
  pauseMilliseconds: number;
  secondsMax: number;
}

type Step = { what: 'assign'; version: number; warm: number | null } | { what: 'remove' } | { what: 'crash' };
const version = fc.nat(2);
const step: fc.Arbitrary<Step & Timing> = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ what: fc.constant('assign' as const), version, warm: fc.option(version) }) },
      { weight: 1, arbitrary: fc.constant({ what: 'remove' as const }) },
      { weight: 2, arbitrary: fc.constant({ what: 'crash' as const }) },
    ),
    fc.nat(250),
    fc.constantFrom(0, 1),
  )
  .map(([what, pauseMilliseconds, secondsMax]) => ({ ...what, pauseMilliseconds, secondsMax }));

const awaited = { pauseMilliseconds: 0, secondsMax: 20 };
const assign = (wanted: number) => ({ what: 'assign' as const, version: wanted, warm: null, ...awaited });
const crash = { what: 'crash' as const, ...awaited };
/** What every test is to see, whatever else chance brings: 3.0.0 is replaced, and what came after it crashes. */
const stuckThenCrashed: (Step & Timing)[] = [assign(2), assign(0), crash, assign(2), assign(1), crash];

it('Background work is never done in two instances at once, whatever is asked for and whoever dies', async () => {
  const reached = { begun: 0, crashed: 0, stuck: 0 };
  // On a slow machine fewer are begun, and each goes on to its end: fast-check would leave one midway to itself.
  const beginUntil = performance.now() + 40_000;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 18 }), async (steps) => {
      if (performance.now() > beginUntil) return;
      const fixture = new HostFixture({ stopSeconds: 0.4, crashLoopCount: 100, retrySecondsMax: 0.2 });
      try {
        await walk(fixture, steps);
        const messages = fixture.logs.map(({ message }) => message);
        reached.begun += messages.filter((message) => message === 'begins').length;
        reached.crashed += messages.filter((message) => /^The process ended with exit code [78]/.test(message)).length;
        reached.stuck += messages.filter((message) => message.includes('did not end its background work')).length;
        expect(messages.filter((message) => message.includes('EADDRINUSE'))).toEqual([]);
      } finally {
        await fixture.close();
      }
    }),
    { numRuns: 5, examples: [[stuckThenCrashed]], endOnFailure: true },
  );
  expect(reached.begun).toBeGreaterThan(5);
  expect(reached.crashed).toBeGreaterThan(0);
  expect(reached.stuck).toBeGreaterThan(0);
}, 150_000);

async function walk(fixture: HostFixture, steps: (Step & Timing)[]): Promise<void> {
  const port = await freePort();
  const releases = ['1.0.0', '2.0.0', '3.0.0'].map((each) =>
    fixture.release(`shop@${each}`, source, { permissions: { network: true } }, { port, deathShare: 0.05 }),
  );
  for (const each of steps) {
    if (each.what === 'crash') await fixture.get('shop', '/exit').catch(() => undefined);
    else {
      const { version: wanted, warm } = each.what === 'assign' ? each : { version: null, warm: null };
      fixture.apply(wanted === null ? null : releases[wanted]!, {
        module: 'shop',
        warm: warm === null ? [] : [releases[warm]!],
        policy: { warmSeconds: 900, drainSeconds: 1 },
      });
    }
    await pause(each.pauseMilliseconds);
    const until = performance.now() + each.secondsMax * 1000;
    while (!fixture.host.settled && performance.now() < until) await pause(10);
  }
  const last: ReleaseSpec = releases[0]!;
  fixture.apply(last, { policy: { warmSeconds: 900, drainSeconds: 1 } });
  await fixture.until('the last one asked for serves', () => fixture.report('shop').active === last.digest);
}
