import {
  countWarm,
  environmentOf,
  planRollBack,
  reason,
  rolloutView,
  type DeploymentView,
  type PipelineDecision,
  type Reason,
  type Stage,
  type StageChange,
} from '@hotswap/domain';
import { isTouched, isUnfinished } from './stage-decision.js';

/** Why, and what, is taken back: the environment in hand, or all that the deployment has touched. */
export interface TakeBack {
  because: Reason;
  scope: 'environment' | 'all';
}

/** What speaks against a deployment as a whole, whatever its stage: a person's request, or that its version was withdrawn. */
export function askedFor({ deployment, withdrawal }: DeploymentView): TakeBack | null {
  const { request } = deployment;
  if (!request) {
    if (!withdrawal) return null;
    const words = withdrawal.reason ? `: ${withdrawal.reason}` : '';
    const message = `${deployment.module} ${deployment.version} was withdrawn${words}`;
    return { because: reason('version-withdrawn', message, { withdrawal }), scope: 'environment' };
  }
  switch (request.kind) {
    case 'cancel':
      return { because: reason('cancelled', `Cancelled by request${said(request)}`), scope: 'environment' };
    case 'supersede':
      return {
        because: reason('superseded', `Deployment ${request.by} takes its place`, { by: request.by }),
        scope: 'environment',
      };
    case 'roll-back':
      return {
        because: reason('rollback-requested', `Rollback requested (scope ${request.scope})${said(request)}`),
        scope: request.scope,
      };
  }
}

/** Takes back the environment in hand (or all) where nodes were touched; the nodes in hand go back with this very commit. */
export function takeBack(view: DeploymentView, stage: Stage, { because, scope }: TakeBack): PipelineDecision {
  const inHand = stage.environment;
  const touched = view.stages.filter(
    (each) => each.name === 'Deploy' && isTouched(each) && (scope === 'all' || each.environment === inHand),
  );
  const untouched = view.stages.filter((each) => isUnfinished(each) && !touched.includes(each));
  const deploy = touched.find(({ environment }) => environment === inHand);
  const isOwner = deploy !== undefined && environmentOf(view).record.ownerStageId === deploy.id;
  const rollout = deploy && isOwner ? rolloutView(view, deploy) : null;
  const assign = rollout ? planRollBack(rollout) : [];
  const begun = { decidedAt: view.now, confirmedAt: null, nodes: 0, warmNodes: 0 };
  const stages: StageChange[] = [
    ...touched.map(({ id }) => ({
      stageId: id,
      status: 'RollingBack' as const,
      reason: because,
      rollback:
        rollout && id === deploy?.id
          ? { ...begun, nodes: countLive(view, assign), warmNodes: countWarm(rollout, assign) }
          : begun,
    })),
    ...untouched.map(({ id }) => ({
      stageId: id,
      status: id === stage.id && !view.deployment.request ? ('Failed' as const) : ('Skipped' as const),
      reason: because,
    })),
  ];
  return {
    kind: touched.length > 0 ? 'roll-back' : 'advance',
    because,
    stageId: deploy?.id ?? stage.id,
    status: touched.length > 0 ? 'RollingBack' : 'Running',
    rollbackReason: view.deployment.rollbackReason ?? because,
    stages,
    slot:
      !deploy && view.environment?.record.ownerStageId === stage.id
        ? { ...view.environment.record, ownerStageId: null }
        : null,
    assign,
    evidence: [],
    usesPromotion: true,
    recheckAt: view.now,
  };
}

/** Nodes among these that are there to go back now. */
export function countLive(view: DeploymentView, plans: readonly { nodeId: string }[]): number {
  const planned = new Set(plans.map(({ nodeId }) => nodeId));
  return environmentOf(view).cluster.live.filter(({ id }) => planned.has(id)).length;
}

function said({ reason: words }: { reason: string | null }): string {
  return words ? `: ${words}` : '';
}
