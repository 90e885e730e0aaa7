import { describe, expect, it } from '@jest/globals';
import type { TrafficRole } from '@hotswap/agent-protocol';
import type { HostRequest } from '../src/index.js';
import { roleOfDraw, shareDraw } from '../src/share-draw.js';

const signal = new AbortController().signal;
const clients = ['10.0.0.1', '10.0.0.2', '10.9.8.7'];
const paths = ['/', '/orders', '/orders/1?x=1', '/slow'];

/** What arrives as the nth: every client asks for every path, at even and at odd turns. */
function arrival(n: number): HostRequest {
  const headers = ['host', 'localhost', 'x-forwarded-for', clients[n % clients.length]!];
  return { method: 'GET', url: `http://localhost${paths[n % paths.length]}`, headers, body: null, signal };
}

class Tally {
  draws = 0;
  readonly roles: Record<TrafficRole, number> = { active: 0, candidate: 0, twin: 0 };

  count(role: TrafficRole): void {
    this.draws++;
    this.roles[role]++;
  }

  expectShare(role: TrafficRole, share: number): void {
    const sigma = Math.sqrt(this.draws * share * (1 - share));
    expect(Math.abs(this.roles[role] - this.draws * share)).toBeLessThan(6 * sigma);
  }
}

describe('The coin', () => {
  it('is fair to a million requests, whoever asks for what and when', () => {
    const percent = 10;
    const strata = new Map<string, Tally>();
    const tallyOf = (name: string) => strata.get(name) ?? strata.set(name, new Tally()).get(name)!;
    let before: TrafficRole = 'active';
    for (let n = 0; n < 1_000_000; n++) {
      const role = roleOfDraw(shareDraw(arrival(n), null, 'shop'), percent);
      tallyOf('all').count(role);
      tallyOf(`client ${n % clients.length}`).count(role);
      tallyOf(`path ${n % paths.length}`).count(role);
      tallyOf(`turn ${n % 2}`).count(role);
      tallyOf(`after ${before}`).count(role);
      before = role;
    }
    expect(strata.size).toBe(13);
    for (const tally of strata.values()) {
      tally.expectShare('candidate', 0.1);
      tally.expectShare('twin', 0.1);
    }
  });

  it('leaves nothing for a twin where the candidate has more than half, and all to the active release without a share', () => {
    const roles = (percent: number) =>
      new Set([0, 25, 49.9, 50, 50.1, 75, 99.9].map((draw) => roleOfDraw(draw, percent)));
    expect(roles(0)).toEqual(new Set(['active']));
    expect(roles(50)).toEqual(new Set(['candidate', 'twin']));
    expect(roles(60)).toEqual(new Set(['candidate', 'active']));
    expect(roles(100)).toEqual(new Set(['candidate']));
  });
});
