import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const program = join(import.meta.dirname, '../dist/main.js');
const milliseconds = 600_000;

/** A process of its own: the simulation takes the place of its timers, clocks, chance and files for good. */
function run(...options: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...options], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    );
  });
}

describe('The simulation', () => {
  it(
    'tells the same story of a seed in every process, to the byte',
    async () => {
      const stories = await Promise.all(
        [1, 2].map((workers) => run('--from', '7', '--seeds', '3', '--verbose', '--workers', `${workers}`)),
      );
      const [one, other] = stories.map(
        ({ output }) =>
          new Map([...output.matchAll(/^seed (\d+): log (\w+)$/gm)].map(([, seed, digest]) => [seed, digest])),
      );
      expect(one?.size).toBe(3);
      expect(other).toEqual(one);
      expect(stories[0]?.output).toMatch(/step-advanced/);
    },
    milliseconds,
  );

  it(
    'refuses what it does not understand',
    async () => {
      expect(await run('--seeds', 'many')).toMatchObject({ code: 2, output: expect.stringContaining('whole number') });
      expect(await run('--without', 'luck')).toMatchObject({ code: 2, output: expect.stringContaining('epoch-fence') });
    },
    milliseconds,
  );

  // That the cases of exercised.ts happen at all is seen to by every run of 300 seeds or more.
  it.each([9, 19, 25, 72, 215, 465, 500, 2428, 3101])(
    'finds nothing in seed %i any more',
    async (seed) => {
      expect((await run('--from', `${seed}`, '--seeds', '1')).output).toContain(' 0 with findings');
    },
    milliseconds,
  );
});

describe('Without a safeguard the simulation finds it within 200 seeds:', () => {
  it.each([
    ['revision-check', /state machine|goes back a step|owner|unfinished|has ended|record|invariant|event log/],
    ['budget-check', /as its budget lets be away|no more nodes are away than the policy allows/],
    ['epoch-fence', /never goes back, in epoch and revision/],
    ['drain-wait', /No request is lost/],
    ['outage-subtraction', /in which someone listened/],
  ])(
    'the %s',
    async (safeguard, rule) => {
      const { code, output } = await run('--without', safeguard, '--seeds', '200', '--first');
      expect(code).toBe(1);
      expect(output.split('\n').find((line) => line.startsWith('seed '))).toMatch(rule);
    },
    milliseconds,
  );
});
