import { Inject, Injectable } from '@nestjs/common';
import type { Strategy } from '@hotswap/domain';

/** Injection token of the array of all strategies. */
export const rolloutStrategies = Symbol('rolloutStrategies');

/** Finds the strategy that an environment's policy names. */
@Injectable()
export class StrategyRegistry {
  private readonly byName: ReadonlyMap<string, Strategy>;

  constructor(@Inject(rolloutStrategies) strategies: Strategy[]) {
    this.byName = new Map(strategies.map((strategy) => [strategy.name, strategy]));
  }

  get(name: string): Strategy {
    const strategy = this.byName.get(name);
    if (!strategy) throw new Error(`No strategy is named ${name}; there are ${[...this.byName.keys()].join(', ')}`);
    return strategy;
  }
}
