import { Inject, Injectable } from '@nestjs/common';
import { holdFor, reason, type Decision, type RolloutView, type Strategy } from '@hotswap/domain';

/** Injection token of the array of all strategies. */
export const rolloutStrategies = Symbol('rolloutStrategies');

/** The strategies of this process, by name; names are read case-insensitively. */
@Injectable()
export class StrategyRegistry {
  private readonly byName: ReadonlyMap<string, Strategy>;

  constructor(@Inject(rolloutStrategies) strategies: Strategy[]) {
    this.byName = new Map(strategies.map((strategy) => [strategy.name.toLowerCase(), strategy]));
    if (this.byName.size < strategies.length)
      throw new Error(`Two strategies have one name: ${strategies.map(({ name }) => name).join(', ')}`);
  }

  get names(): string[] {
    return [...this.byName.values()].map(({ name }) => name);
  }

  find(name: string): Strategy | null {
    return this.byName.get(name.toLowerCase()) ?? null;
  }

  /** A process that lacks the strategy has one that waits instead: another replica, or its own next start, may have it. */
  get(name: string): Strategy {
    return this.find(name) ?? { name, decide: (view) => this.awaitStrategy(name, view) };
  }

  private awaitStrategy(name: string, view: RolloutView): Decision {
    const because = reason('strategy-missing', `No strategy is named ${name} here; there are ${this.names.join(', ')}`);
    return holdFor(view, view.policy.progressDeadlineSeconds, because, (late) => ({
      kind: 'roll-back',
      because: late,
    }));
  }
}
