import { Injectable } from '@nestjs/common';
import {
  decideBlueGreen,
  decideCanary,
  decideDirect,
  decideRolling,
  type Decision,
  type RolloutView,
  type Strategy,
} from '@hotswap/domain';

@Injectable()
export class DirectStrategy implements Strategy {
  readonly name = 'Direct';
  decide(view: RolloutView): Decision {
    return decideDirect(view);
  }
}

@Injectable()
export class RollingStrategy implements Strategy {
  readonly name = 'Rolling';
  decide(view: RolloutView): Decision {
    return decideRolling(view);
  }
}

@Injectable()
export class BlueGreenStrategy implements Strategy {
  readonly name = 'BlueGreen';
  decide(view: RolloutView): Decision {
    return decideBlueGreen(view);
  }
}

@Injectable()
export class CanaryStrategy implements Strategy {
  readonly name = 'Canary';
  decide(view: RolloutView): Decision {
    return decideCanary(view);
  }
}
