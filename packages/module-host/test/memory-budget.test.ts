import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryBudget, type Claim, type MemoryRole, type Tenant } from '../src/memory-budget.js';

const mebibyte = 2 ** 20;

/** Tenants that leave as soon as they are asked to. */
class House {
  readonly left: string[] = [];
  readonly claims = new Map<string, Claim>();
  readonly budget: MemoryBudget;

  constructor(mebibytes: number) {
    this.budget = new MemoryBudget(mebibytes * mebibyte);
  }

  admit(name: string, memoryRole: MemoryRole, mebibytes: number): void {
    const tenant: Tenant = {
      name,
      memoryRole,
      isAwaited: false,
      leave: () => {
        this.left.push(name);
        this.claims.get(name)!.end();
        this.claims.delete(name);
      },
    };
    const { claim, vacated } = this.budget.admit(tenant, mebibytes * mebibyte);
    // Who is asked to leave before he was let in learns it twice.
    void vacated.catch(() => undefined);
    this.claims.set(name, claim);
  }

  get taken(): number {
    return Object.values(this.budget.taken()).reduce((sum, bytes) => sum + bytes, 0) / mebibyte;
  }
}

describe('The memory of a node', () => {
  it('is made room in by what is warm, then by spares, then by twins, the oldest first', () => {
    const house = new House(1000);
    house.admit('twin', 'twin', 100);
    house.admit('old warm', 'warm', 100);
    house.admit('spare', 'spare', 50);
    house.admit('young warm', 'warm', 100);
    house.admit('active', 'active', 600);
    house.admit('candidate', 'candidate', 100);
    expect(house.left).toEqual(['old warm']);
    house.admit('next', 'candidate', 280);
    expect(house.left).toEqual(['old warm', 'young warm', 'spare', 'twin']);
  });

  it('is refused with the numbers where that is not enough, and nobody has to leave for nothing', () => {
    const house = new House(1000);
    house.admit('till@1.0.0', 'active', 700);
    house.admit('shop@1.0.0', 'warm', 200);
    expect(() => house.admit('shop@2.0.0', 'candidate', 400)).toThrow(
      expect.objectContaining({
        kind: 'memory',
        message:
          "No room for shop@2.0.0 as candidate: it needs 400 MiB; of the node's 1000 MiB 900 are taken (warm 200, active 700).",
      }),
    );
    expect(house.left).toEqual([]);
  });

  it('is taken back from what is warm when others grow beyond it', () => {
    const house = new House(1000);
    house.admit('active', 'active', 500);
    house.admit('warm', 'warm', 200);
    house.admit('spare', 'spare', 50);
    house.budget.measure(house.claims.get('active')!, 780 * mebibyte);
    expect(house.left).toEqual(['warm']);
    house.budget.measure(house.claims.get('active')!, 1200 * mebibyte);
    expect(house.left).toEqual(['warm', 'spare']);
    house.budget.measure(house.claims.get('active')!, 100 * mebibyte);
    expect(house.taken).toBe(500);
  });

  it('is free for a spare when somebody has gone, and not when he uses less, or a spare has ended', () => {
    let freed = 0;
    const budget = new MemoryBudget(1000 * mebibyte, () => freed++);
    const tenant = (memoryRole: MemoryRole): Tenant => ({
      name: memoryRole,
      memoryRole,
      isAwaited: false,
      leave: () => undefined,
    });
    const { claim } = budget.admit(tenant('active'), 500 * mebibyte);
    budget.measure(claim, 700 * mebibyte);
    budget.measure(claim, 600 * mebibyte);
    budget.admitWhereFree(tenant('spare'), 100 * mebibyte)!.end();
    expect(freed).toBe(0);
    claim.end();
    expect(freed).toBe(1);
  });

  it('is never promised twice, and nobody leaves for one who matters less', () => {
    const roles = ['warm', 'spare', 'twin', 'candidate', 'active'] as const;
    const reached = { refused: 0, displaced: 0 };
    const arrival = fc.record({ role: fc.constantFrom(...roles), mebibytes: fc.integer({ min: 10, max: 400 }) });
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 5, maxLength: 40 }), (arrivals) => {
        const house = new House(1000);
        const roleOf = new Map<string, number>();
        arrivals.forEach(({ role, mebibytes }, n) => {
          const before = house.left.length;
          roleOf.set(String(n), roles.indexOf(role));
          try {
            house.admit(String(n), role, mebibytes);
          } catch (error) {
            expect(error).toMatchObject({ kind: 'memory' });
            expect(house.left.length).toBe(before);
            reached.refused++;
          }
          for (const name of house.left.slice(before)) {
            expect(roleOf.get(name)).toBeLessThan(Math.min(roles.indexOf(role), 3));
            reached.displaced++;
          }
          expect(house.taken).toBeLessThanOrEqual(1000);
        });
      }),
    );
    expect(reached.refused).toBeGreaterThan(20);
    expect(reached.displaced).toBeGreaterThan(20);
  });
});

/** What was decided has reached whoever waits for it. */
const told = () => new Promise((resolve) => setImmediate(resolve));

type Stage = 'waiting' | 'in' | 'leaving' | 'refused' | 'gone';

/** Tenants that take their time to leave, as what drains does. */
class SlowHouse {
  readonly tenants: {
    claim: Claim;
    bytes: number;
    place: { memoryRole: MemoryRole; isAwaited: boolean };
    stage: Stage;
  }[] = [];
  readonly budget = new MemoryBudget(1000 * mebibyte);

  /** Answers whether there is a promise of room. */
  admit(memoryRole: MemoryRole, mebibytes: number, isAwaited = false): boolean {
    const bytes = mebibytes * mebibyte;
    let leave = () => undefined as void;
    const place: Tenant = { name: `a ${memoryRole}`, memoryRole, isAwaited, leave: () => leave() };
    try {
      const { claim, vacated } = this.budget.admit(place, bytes);
      const entry = { claim, bytes, place, stage: 'waiting' as Stage };
      this.tenants.push(entry);
      leave = () => void (entry.stage = entry.stage === 'in' ? 'leaving' : entry.stage);
      vacated.then(
        () => (entry.stage = claim.isLeaving ? 'leaving' : 'in'),
        () => {
          entry.stage = 'refused';
          claim.end();
        },
      );
      return true;
    } catch {
      return false;
    }
  }

  of(stage: Stage) {
    return this.tenants.filter((tenant) => tenant.stage === stage);
  }

  end(tenant: SlowHouse['tenants'][number]): void {
    tenant.stage = 'gone';
    tenant.claim.end();
  }

  /** What is really in use. */
  get presentMebibytes(): number {
    return this.mebibytesOf('in') + this.mebibytesOf('leaving');
  }

  mebibytesOf(stage: Stage): number {
    return this.of(stage).reduce((sum, { bytes }) => sum + bytes, 0) / mebibyte;
  }
}

describe('Memory that somebody is still leaving', () => {
  it('is nobody else’s before he is gone, even where there is less to wait for than is promised', async () => {
    const house = new SlowHouse();
    house.admit('active', 400);
    house.admit('warm', 600);
    await told();
    house.admit('candidate', 100);
    house.admit('candidate', 400);
    const spare: Tenant = { name: 'a spare', memoryRole: 'spare', isAwaited: false, leave: () => undefined };
    expect(house.budget.admitWhereFree(spare, 1)).toBe(null);
    await told();
    expect(house.of('waiting').length).toBe(2);
    expect(house.presentMebibytes).toBe(1000);
    house.end(house.of('leaving')[0]!);
    await told();
    expect(house.of('waiting')).toEqual([]);
    expect(house.presentMebibytes).toBe(900);
  });

  it.each([300, 400])(
    'is not waited for by what users wait for, though a candidate of %d MiB waits for it',
    async (mebibytes) => {
      const house = new SlowHouse();
      house.admit('active', 300);
      house.admit('warm', 300);
      house.admit('active', 300);
      await told();
      house.admit('candidate', mebibytes);
      expect(house.of('leaving')).toHaveLength(1);
      house.end(house.tenants[2]!);
      house.admit('active', 300, true);
      await told();
      expect(house.tenants.at(-1)).toMatchObject({ place: { isAwaited: true }, stage: 'in' });
      house.end(house.of('leaving')[0]!);
      await told();
      expect(house.tenants.map(({ stage }) => stage)).toEqual(['in', 'gone', 'gone', 'in', 'in']);
    },
  );

  it('is waited for by an active release where users have another, until they have not', async () => {
    const house = new SlowHouse();
    house.admit('active', 400);
    house.admit('warm', 600);
    await told();
    house.admit('active', 300);
    house.admit('active', 250);
    await told();
    expect(house.tenants.map(({ stage }) => stage)).toEqual(['in', 'leaving', 'waiting', 'waiting']);
    house.tenants[3]!.place.isAwaited = true;
    house.budget.review();
    await told();
    expect(house.tenants.map(({ stage }) => stage)).toEqual(['in', 'leaving', 'waiting', 'in']);
    house.end(house.tenants[1]!);
    await told();
    expect(house.tenants.map(({ stage }) => stage)).toEqual(['in', 'gone', 'in', 'in']);
  });

  it('comes to who matters most first', async () => {
    const house = new SlowHouse();
    house.admit('warm', 300);
    house.admit('warm', 300);
    house.admit('active', 300);
    await told();
    house.admit('twin', 350);
    house.admit('candidate', 350);
    house.end(house.of('leaving')[0]!);
    await told();
    expect(house.tenants.slice(3).map(({ place, stage }) => [place.memoryRole, stage])).toEqual([
      ['twin', 'waiting'],
      ['candidate', 'in'],
    ]);
  });

  it('is refused by now where others have grown into it', async () => {
    const house = new SlowHouse();
    house.admit('active', 400);
    house.admit('warm', 600);
    await told();
    house.admit('candidate', 500);
    house.budget.measure(house.tenants[0]!.claim, 700 * mebibyte);
    house.end(house.of('leaving')[0]!);
    await told();
    expect(house.tenants.map(({ stage }) => stage)).toEqual(['in', 'gone', 'refused']);
    expect(house.budget.taken()).toMatchObject({ active: 700 * mebibyte, candidate: 0, leaving: 0 });
  });

  it('is never used twice but by what users wait for, and comes to whoever waits for it', async () => {
    const reached = { waited: 0, displacedWaiting: 0, entered: 0, enteredAwaited: 0 };
    const roles = ['warm', 'spare', 'twin', 'candidate', 'active'] as const;
    const arrival = fc.record({
      role: fc.constantFrom(...roles),
      mebibytes: fc.integer({ min: 10, max: 500 }),
      isServed: fc.boolean(),
    });
    const departure = fc.nat({ max: 20 });
    const step = fc.oneof({ arbitrary: arrival, weight: 3 }, { arbitrary: departure, weight: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const house = new SlowHouse();
        for (const each of steps) {
          const before = new Set(house.of('in'));
          if (typeof each === 'object')
            house.admit(each.role, each.mebibytes, each.role === 'active' && !each.isServed);
          else {
            const leaving = house.of('leaving');
            const next = leaving[each % Math.max(1, leaving.length)];
            if (next !== undefined) house.end(next);
          }
          await told();
          reached.waited += house.of('waiting').length;
          reached.displacedWaiting += house.of('refused').length;
          expect(house.mebibytesOf('in')).toBeLessThanOrEqual(1000);
          const entered = house.of('in').filter((tenant) => !before.has(tenant));
          const isAwaited = entered.some(({ place }) => place.isAwaited);
          if (entered.length > 0 && !isAwaited) expect(house.presentMebibytes).toBeLessThanOrEqual(1000);
          reached.entered += isAwaited ? 0 : entered.length;
          reached.enteredAwaited += house.presentMebibytes > 1000 ? 1 : 0;
        }
        for (let next = house.of('leaving')[0]; next !== undefined; next = house.of('leaving')[0]) {
          house.end(next);
          await told();
        }
        expect(house.of('waiting')).toEqual([]);
      }),
    );
    expect(reached.waited).toBeGreaterThan(50);
    expect(reached.displacedWaiting).toBeGreaterThan(5);
    expect(reached.entered).toBeGreaterThan(50);
    expect(reached.enteredAwaited).toBeGreaterThan(5);
  });
});
