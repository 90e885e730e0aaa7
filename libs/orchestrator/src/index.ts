export { ArtifactVerifier, orchestratorTrust, type Verdict } from './artifact-verifier.js';
export { canonicalDigest } from './canonical-digest.js';
export { DeploymentExplainer, type Explanation } from './deployment-explainer.js';
export { DeploymentPipeline } from './deployment-pipeline.js';
export { describeRelease } from './describe-release.js';
export {
  DistributedKernelOrchestrator,
  PublishRefused,
  type PublishRefusal,
  type RetryOutcome,
} from './distributed-kernel-orchestrator.js';
export { changesSomething, environmentsEnded, eventsOf, isNewRollback, type NewEvent } from './events-of.js';
export { currentLogFields, withLogFields, type LogFields } from './log-fields.js';
export { OrchestratorModule } from './orchestrator.module.js';
export * from './ports/analysis-store.js';
export * from './ports/cluster-store.js';
export * from './ports/control-plane-clock.js';
export * from './ports/database-health.js';
export * from './ports/deployment-store.js';
export * from './ports/evidence-store.js';
export * from './ports/metric-store.js';
export * from './ports/module-catalog.js';
export * from './ports/node-registry.js';
export * from './ports/page.js';
export * from './ports/plan-store.js';
export * from './ports/rollout-store.js';
export * from './ports/traffic-packer.js';
export * from './ports/wake-ups.js';
export { EvidenceGatherer } from './reconcile/gather-evidence.js';
export type { DeploymentPlan, PlanGate, PlanStage, PlanStep } from './plan/deployment-plan.js';
export { DeploymentPlanner, type PlanOutcome } from './plan/deployment-planner.js';
export { reconcileCluster } from './reconcile/reconcile-cluster.js';
export { reconcileDeployment, type ReconcileOutcome } from './reconcile/reconcile-deployment.js';
export { ReconcileLoop } from './reconcile/reconcile-loop.js';
export { BlueGreenStrategy, CanaryStrategy, DirectStrategy, RollingStrategy } from './strategies/strategies.js';
export { rolloutStrategies, StrategyRegistry } from './strategies/strategy-registry.js';
