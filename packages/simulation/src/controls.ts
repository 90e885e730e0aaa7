import type { ModuleAssignment, NodeDocument } from '@hotswap/agent-protocol';
import {
  decideRolling,
  EnvironmentCluster,
  type Decision,
  type DeploymentView,
  type PipelineDecision,
  type RolloutView,
  type Strategy,
} from '@hotswap/domain';
import type { RolloutStore } from '@hotswap/orchestrator';
import { soundComposition } from './composition.js';
import type { AcceptedState } from './node/simulated-node.js';
import type { Composition } from './world.js';

const allAtOnce: Strategy = {
  name: 'Rolling',
  decide: (view: RolloutView): Decision => {
    const rolling = { ...view.policy.rolling, maxUnavailable: '100%' as const };
    return decideRolling({ ...view, policy: { ...view.policy, rolling } });
  },
};

/**
 * Negative controls: the system with one of its safeguards taken out by composition. The simulation has to find each of them, or it would not find
 * their absence in the product either.
 */
export const controls: Readonly<Record<string, Composition>> = {
  'revision-check': withStore((store) => ({ ...passed(store), commit: commitUnchecked(store) })),
  'budget-check': {
    ...soundComposition,
    controlPlane: {
      ...soundComposition.controlPlane,
      strategies: soundComposition.controlPlane.strategies.map((each) => (each.name === 'Rolling' ? allAtOnce : each)),
    },
  },
  'epoch-fence': {
    ...soundComposition,
    node: { ...soundComposition.node, desiredState: async (load) => new UnfencedState(await load()) },
  },
  'drain-wait': {
    ...soundComposition,
    node: {
      ...soundComposition.node,
      assignments: (inForce) => inForce.map((each) => ({ ...each, policy: { ...each.policy, drainSeconds: 0 } })),
    },
  },
  'outage-subtraction': withStore((store) => ({ ...passed(store), loadView: loadWithoutGaps(store) })),
};

function withStore(rollouts: (store: RolloutStore) => RolloutStore): Composition {
  return { ...soundComposition, controlPlane: { ...soundComposition.controlPlane, rollouts } };
}

function passed(store: RolloutStore): Pick<RolloutStore, keyof RolloutStore> {
  return {
    claimDue: (limit, leaseSeconds) => store.claimDue(limit, leaseSeconds),
    loadView: (id) => store.loadView(id),
    commit: (view, decision) => store.commit(view, decision),
  };
}

/** Writes whatever was decided, on however old a view. */
function commitUnchecked(store: RolloutStore) {
  return async (view: DeploymentView, decision: PipelineDecision): Promise<'committed' | 'superseded'> => {
    const newest = await store.loadView(view.deployment.id);
    if (!newest) return 'superseded';
    const deployment = { ...view.deployment, revision: newest.deployment.revision };
    return store.commit({ ...view, deployment, revisions: newest.revisions }, decision);
  };
}

/** As if somebody had listened all the time. */
function loadWithoutGaps(store: RolloutStore) {
  return async (id: string): Promise<DeploymentView | null> => {
    const view = await store.loadView(id);
    if (!view?.environment) return view;
    const { environment, nodes, releases, now, listening } = view.environment.cluster;
    const cluster = new EnvironmentCluster(environment, nodes, releases, now, { beatAt: listening.beatAt, gaps: [] });
    return { ...view, environment: { ...view.environment, cluster } };
  };
}

/** Accepts whatever document comes. */
class UnfencedState implements AcceptedState {
  readonly refused = null;
  readonly diverged = false;
  accepted: { epoch: number; revision: number } | null;
  assignments: readonly ModuleAssignment[];

  constructor({ accepted, assignments }: AcceptedState) {
    this.accepted = accepted;
    this.assignments = assignments;
  }

  async offer(value: unknown): Promise<{ kind: 'accepted'; notKept: null }> {
    const { epoch, revision, modules } = value as NodeDocument;
    this.accepted = { epoch, revision };
    this.assignments = modules;
    return { kind: 'accepted', notKept: null };
  }
}
