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
      leave: () => {
        this.left.push(name);
        this.claims.get(name)!.end();
        this.claims.delete(name);
      },
    };
    this.claims.set(name, this.budget.admit(tenant, mebibytes * mebibyte).claim);
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
