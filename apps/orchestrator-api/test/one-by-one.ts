import {
  decideSteps,
  noBake,
  onStable,
  onTarget,
  type Decision,
  type RolloutView,
  type Step,
  type Strategy,
} from '@hotswap/domain';
import { Injectable } from '@nestjs/common';

/** A strategy of somebody else: node after node in the order of their ids, each confirmed before the next one. The recipe of CONTRIBUTING.md. */
@Injectable()
export class OneByOneStrategy implements Strategy {
  readonly name = 'OneByOne';

  decide(view: RolloutView): Decision {
    const order = view.cluster.live.map(({ id }) => id);
    const steps = order.map((_, index): Step => ({
      number: index + 1,
      targetPercent: Math.round((100 * (index + 1)) / order.length),
      scoutNodeId: null,
      title: `One by one, node ${index + 1} of ${order.length}`,
      plan: (node) => (order.indexOf(node.id) <= index ? onTarget(view) : onStable(view.stable)),
      bake: noBake,
    }));
    return decideSteps(view, steps);
  }
}
