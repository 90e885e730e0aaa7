import {
  environmentOf,
  listenedMilliseconds,
  reason,
  second,
  suspensionsOf,
  type DeploymentView,
  type Evidence,
  type EvidenceRequest,
  type ExternalCheck,
  type Reason,
  type Stage,
} from '@hotswap/domain';

const deadlineSeconds = 30;
/** A good answer counts for so many intervals. */
const validIntervals = 2;

export interface Outside {
  /** What speaks against the target: a bad answer, or none in time. */
  bad: Reason | null;
  /** Why the step in hand may not end yet. */
  heldBack: Reason | null;
  /** What is to be asked now. */
  evidence: EvidenceRequest[];
}

/**
 * What the policy's checks make of the step in hand: a bad answer takes the target back, the step ends only when each check has a good one that is new
 * enough, and whatever is due is asked. No data and no answer are never good; without a good one for the step's and the policy's progress
 * deadline together the target goes back.
 */
export function askOutside(view: DeploymentView, stage: Stage): Outside {
  const { policy } = environmentOf(view);
  const { progress } = stage;
  const checks = policy.checks ?? [];
  if (checks.length === 0 || !progress?.exposedAt) return { bad: null, heldBack: null, evidence: [] };
  const step = `${progress.number}@${progress.stepStartedAt}`;
  const answers = checks.map((check) => ({ check, found: answersOf(view, stage, `${check.name}/${step}/`) }));
  const refused = answers.flatMap(({ found }) => found).find(({ status }) => status === 'Refused');
  const bad = refused
    ? reason('check-failed', refused.message ?? 'An external check failed', {
        subject: refused.subject,
        ...refused.data,
      })
    : null;
  const evidence = answers.flatMap(({ check, found }) => due(view, stage, check, step, found));
  const missing = answers.filter(({ check, found }) => !isGood(view, check, found));
  if (bad || missing.length === 0 || view.deployment.promotion) return { bad, heldBack: null, evidence };
  const tell = missing
    .map(
      ({ check, found }) =>
        `${check.name} (${found.findLast(({ message }) => message)?.message ?? 'not answered yet'})`,
    )
    .join(', ');
  const names = { checks: missing.map(({ check }) => check.name) };
  const waitedSince = Math.min(...missing.map(({ found }) => lastGoodAt(found) ?? progress.stepStartedAt));
  const waited = listenedMilliseconds(waitedSince, view.now, suspensionsOf(view));
  return waited > (policy.progressDeadlineSeconds + longestStepSeconds(view)) * second
    ? { bad: reason('check-deadline', `No good answer in time from ${tell}`, names), heldBack: null, evidence }
    : {
        bad: null,
        heldBack: reason('awaiting-check', `The step could end, but has no good answer from ${tell}`, names),
        evidence,
      };
}

function answersOf({ evidence }: DeploymentView, { id }: Stage, prefix: string): Evidence[] {
  return evidence
    .filter(({ stageId, kind, subject }) => stageId === id && kind === 'check' && subject.startsWith(prefix))
    .sort((a, b) => a.requestedAt - b.requestedAt);
}

/** Asked at the start of the step, and then once an interval, never twice at a time. */
function due(
  view: DeploymentView,
  stage: Stage,
  check: ExternalCheck,
  step: string,
  found: readonly Evidence[],
): EvidenceRequest[] {
  const last = found.at(-1);
  const isPending = last?.status === 'Requested' && view.now < last.deadlineAt;
  const isEarly = last !== undefined && view.now - last.requestedAt < check.intervalSeconds * second;
  if (isPending || isEarly) return [];
  const { deployment } = view;
  const data = {
    check,
    about: {
      deploymentId: deployment.id,
      moduleName: deployment.module,
      version: deployment.version,
      environment: stage.environment,
    },
  };
  return [
    { stageId: stage.id, kind: 'check', subject: `${check.name}/${step}/${found.length}`, data, deadlineSeconds },
  ];
}

function isGood({ now }: DeploymentView, { intervalSeconds }: ExternalCheck, found: readonly Evidence[]): boolean {
  const at = lastGoodAt(found);
  const answered = found.findLast(({ status }) => status !== 'Requested');
  return (
    at !== null &&
    answered?.status === 'Passed' &&
    now - at <= (validIntervals * intervalSeconds + deadlineSeconds) * second
  );
}

function lastGoodAt(found: readonly Evidence[]): number | null {
  return found.findLast(({ status }) => status === 'Passed')?.requestedAt ?? null;
}

function longestStepSeconds(view: DeploymentView): number {
  return Math.max(0, ...environmentOf(view).policy.canary.steps.map(({ maximumSeconds }) => maximumSeconds));
}
