import { expect } from '@jest/globals';
import { DeploymentPipeline } from '../src/deployment-pipeline.js';
import { reconcileDeployment } from '../src/reconcile/reconcile-deployment.js';
import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from '../src/strategies/strategies.js';
import { StrategyRegistry } from '../src/strategies/strategy-registry.js';
import { World } from './world.js';

export const pipeline = new DeploymentPipeline(
  new StrategyRegistry([new DirectStrategy(), new RollingStrategy(), new BlueGreenStrategy(), new CanaryStrategy()]),
);

/** Lets time pass in seconds, nodes settle and the reconciler look, until the deployment is finished, or `isOver`. */
export async function run(
  world: World,
  between: (pass: number) => unknown = () => undefined,
  settleEvery = 1,
  isOver: (pass: number) => boolean = () => false,
): Promise<void> {
  const violations: unknown[] = [];
  for (let pass = 1; pass < 6000; pass++) {
    await between(pass);
    if (isOver(pass)) return;
    const outcome = await reconcileDeployment(world.deployment.id, {
      store: world,
      pipeline,
      alarm: (found) => violations.push(...found),
    });
    expect(violations).toEqual([]);
    if (outcome === 'gone') return;
    world.now += world.secondsPerPass * 1000;
    for (const node of world.nodes) node.heartbeatAt = world.now;
    if (pass % settleEvery === 0) world.settle();
    world.clusterPass();
  }
  throw new Error(`Not finished: ${JSON.stringify(world.deployment.reason)}`);
}
