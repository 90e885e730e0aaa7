import {
  environmentOf,
  findFreeze,
  isoInstant,
  reason,
  standingStill,
  withWait,
  type ActiveFreeze,
  type Decision,
  type DeploymentView,
  type Progress,
  type Reason,
  type RolloutView,
} from '@hotswap/domain';

export interface Frozen extends ActiveFreeze {
  because: Reason;
}

/** The freeze that holds for this deployment's environment in hand now; null: none, or it is ignored. */
export function findFreezeOf(view: DeploymentView): Frozen | null {
  return view.deployment.breakGlass ? null : inForce(view);
}

/** That a freeze is ignored, and who answers for it: goes into the decision that begins the stage. */
export function tellBrokenFreeze(view: DeploymentView): { words: string; data: Record<string, unknown> } {
  const { breakGlass } = view.deployment;
  const ignored = breakGlass && inForce(view);
  if (!ignored) return { words: '', data: {} };
  return {
    words: `, although ${ignored.because.message}: ${breakGlass.byEmail} broke the glass (${breakGlass.reason})`,
    data: { breakGlass, frozen: ignored.because.data },
  };
}

/**
 * A strategy's answer while its environment is frozen. Under `hold` it is asked as if someone had paused the rollout; under `finish-step` nodes may
 * join the step in hand and the last step may end, but no step begins. `heldBy`: what the answer waits for unless it speaks against the target.
 */
export function askUnderFreeze(
  decide: (view: RolloutView) => Decision,
  view: RolloutView,
  { runningRollouts, because }: Frozen,
): { found: Decision; heldBy: Reason | null } {
  const wait = view.waiting ?? null;
  if (runningRollouts === 'hold')
    return { found: decide({ ...view, isPaused: true }), heldBy: withWait(because, standingStill(wait)) };
  const found = decide({ ...view, isFrozen: true });
  if (!beginsStep(found, view.progress)) return { found, heldBy: null };
  return { found: decide({ ...view, isPaused: true }), heldBy: withWait(because, wait) };
}

function beginsStep(decision: Decision, progress: Progress | null): boolean {
  return decision.kind === 'advance' && decision.progress.number !== progress?.number;
}

function inForce(view: DeploymentView): Frozen | null {
  const { policy, cluster } = environmentOf(view);
  const freeze = findFreeze(policy.freeze ?? [], view.now);
  if (!freeze) return null;
  const { names, until, runningRollouts } = freeze;
  const untilAt = isoInstant(until);
  const because = reason('frozen', `${cluster.environment} is frozen (${names.join(', ')}) until ${untilAt}`, {
    freezes: names,
    untilAt,
    runningRollouts,
  });
  return { ...freeze, because };
}
