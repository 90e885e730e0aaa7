import { Module, type DynamicModule, type ModuleMetadata, type Type } from '@nestjs/common';
import type { Strategy } from '@hotswap/domain';
import type { Trust } from '@hotswap/module-kit';
import { ArtifactVerifier, orchestratorTrust } from './artifact-verifier.js';
import { DeploymentExplainer } from './deployment-explainer.js';
import { DeploymentPipeline } from './deployment-pipeline.js';
import { DistributedKernelOrchestrator } from './distributed-kernel-orchestrator.js';
import { DeploymentPlanner } from './plan/deployment-planner.js';
import { checkHosts, EvidenceGatherer } from './reconcile/gather-evidence.js';
import { ReconcileLoop } from './reconcile/reconcile-loop.js';
import { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from './strategies/strategies.js';
import { rolloutStrategies, StrategyRegistry } from './strategies/strategy-registry.js';

const builtIn = [DirectStrategy, RollingStrategy, BlueGreenStrategy, CanaryStrategy];

/** The orchestrator; `imports` bring the stores (the ports' implementations). */
@Module({})
export class OrchestratorModule {
  static forRoot({
    trust,
    allowedCheckHosts = [],
    strategies = [],
    imports,
  }: {
    trust: Trust;
    /** Hosts that external checks may ask although their addresses are private. */
    allowedCheckHosts?: readonly string[];
    /** Strategies beside those that HotSwap brings: injectable classes, which policies name by their `name`. */
    strategies?: readonly Type<Strategy>[];
    imports: NonNullable<ModuleMetadata['imports']>;
  }): DynamicModule {
    const all = [...builtIn, ...strategies];
    return {
      module: OrchestratorModule,
      imports,
      providers: [
        { provide: orchestratorTrust, useValue: trust },
        { provide: checkHosts, useValue: allowedCheckHosts },
        ...all,
        { provide: rolloutStrategies, useFactory: (...found: Strategy[]) => found, inject: all },
        StrategyRegistry,
        DeploymentPipeline,
        ArtifactVerifier,
        EvidenceGatherer,
        ReconcileLoop,
        DistributedKernelOrchestrator,
        DeploymentExplainer,
        DeploymentPlanner,
      ],
      exports: [DistributedKernelOrchestrator, DeploymentExplainer, DeploymentPlanner, StrategyRegistry],
    };
  }
}
