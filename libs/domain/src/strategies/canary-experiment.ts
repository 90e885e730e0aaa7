import { analyse, beginAnalysis, type AnalysisVerdict, type StageEvent } from '../analysis/index.js';
import { second, type Instant } from '../instant.js';
import { inSeconds, reason, type Reason } from '../reason.js';
import type { Progress } from '../deployment.js';
import type { CanaryAnalysis } from '../policy.js';
import type { AnalysisEntry, AnalysisMemory, AnalysisView } from '../rollout/analysis-record.js';
import type { Decision } from '../rollout/decision.js';
import type { RolloutView } from '../rollout/rollout-view.js';
import { findFault, findLimitFault, isJudged } from './guard.js';
import { withWait } from '../rollout/wait.js';
import { onStable } from './plans.js';
import { awaitConfirmation, awaitSurroundings, confirmedSince, elapsed, hold, holdForPerson } from './readiness.js';
import { awaitPromotion, decideSteps, enter, findStep, plainRules, type Step } from './steps.js';
import { experimentParameters, experimentSteps } from './experiment-parameters.js';
import { probe } from './probe.js';
import { explainStanding, explainVerdict } from './explain-analysis.js';
import { forecastDetection, tellForecast } from './forecast-detection.js';

/** What taking in the new blocks came to. */
interface Look {
  memory: AnalysisMemory | null;
  entries: AnalysisEntry[];
  /** What has to be acted on now. */
  verdict: AnalysisVerdict | null;
}

/** Before that the traffic of a step is not known well enough to tell of. */
const forecastAfterMilliseconds = 5 * second;
/** A twin starts in moments; nodes that give requests to the target alone for longer have none. */
const twinStartMilliseconds = 10 * second;
/** Evidence this strong, though not enough to act on, keeps an unproved step from going on. */
const suspicious = 10;
/** A suspicion holds a step for so many times its longest duration; then it counts as nothing proved. */
const suspicionTimes = 3;

/**
 * A canary as an experiment: takes in what nodes reported since the last look, acts on what the analysis says of it, and goes on to the next
 * step as soon as the target is proved not to be worse. What it has come to is part of the decision, and so of its commit.
 */
export function decideExperiment(
  view: RolloutView,
  steps: readonly Step[],
  policy: CanaryAnalysis,
  { memory, blocks }: AnalysisView,
): Decision {
  const known = memory && (isWithoutTwin(view, memory, blocks) ? withoutTwin(memory, steps, policy) : memory);
  const look = takeIn(known, blocks);
  const decision = decide(view, steps, policy, look);
  return record(view, steps, policy, look, decision);
}

/** Every node has long said that it does what was asked, the target answers, and no twin does: the nodes have none to give. */
function isWithoutTwin(view: RolloutView, { parameters }: AnalysisMemory, blocks: AnalysisView['blocks']): boolean {
  const { progress } = view;
  if (!parameters.twin || !progress || !view.cluster.live.every((node) => node.confirms(view.module))) return false;
  if (elapsed(view, confirmedSince(view, progress.stepStartedAt)) < twinStartMilliseconds) return false;
  const last = blocks.at(-1)?.nodes ?? [];
  return last.some(({ arms }) => arms.C && arms.C.requests > 0) && !last.some(({ arms }) => arms.T);
}

function withoutTwin(memory: AnalysisMemory, steps: readonly Step[], policy: CanaryAnalysis): AnalysisMemory {
  const parameters = experimentParameters(steps, { ...policy, twin: false });
  return { ...memory, parameters, state: beginAnalysis(parameters, memory.state.at), standing: null };
}

/** Folds block after block, up to the first one that something has to be done about: what comes after it is of processes that end. */
function takeIn(memory: AnalysisMemory | null, blocks: AnalysisView['blocks']): Look {
  if (!memory) return { memory, entries: [], verdict: null };
  let { state, standing } = memory;
  for (const { at, nodes } of blocks) {
    const seconds = (at - memory.beganAt) / second;
    const answer = analyse(memory.parameters, state, { kind: 'block', at: seconds, nodes });
    state = answer.state;
    const { verdict } = answer;
    if (!verdict) continue;
    standing = verdict;
    if (verdict.verdict === 'none' || verdict.verdict === 'promote') continue;
    return { memory: { ...memory, state, standing }, entries: [{ kind: 'verdict', ...verdict }], verdict };
  }
  return { memory: { ...memory, state, standing }, entries: [], verdict: null };
}

function decide(view: RolloutView, steps: readonly Step[], policy: CanaryAnalysis, look: Look): Decision {
  const { progress } = view;
  const step = progress && findStep(steps, progress);
  if (!step) return decideSteps(view, steps);
  // Where nothing was compared with a twin yet, the analysis sees less: the plain guards compare them as well.
  const isPaired = look.memory?.parameters.twin && look.memory.state.attempt.latency.histogram.length > 0;
  const fault = isPaired ? findLimitFault(view) : findFault(view);
  if (fault) return { kind: 'roll-back', because: fault };
  const { verdict } = look;
  if (verdict?.verdict === 'rollback') return { kind: 'roll-back', because: explainVerdict(view, verdict) };
  if (verdict?.verdict === 'contain') return contain(view, progress, explainVerdict(view, verdict));
  if (view.isPaused)
    return hold(view, withWait(reason('paused', `${step.title}: paused by request`), view.waiting ?? null));
  if (progress.containedAt) return beginAgain(view, steps, step, progress);
  const isExposed = step.targetPercent < 100;
  return decideSteps(view, steps, {
    findFault: () => null,
    waitFor: (_, current, since) => {
      if (!isExposed) return plainRules.waitFor(view, current, since);
      const unproved = awaitProof(view, steps, current, policy, look, since);
      return unproved ?? (current.bake.isManual ? awaitPromotion(view, current) : null);
    },
  });
}

/** Takes the target's share at once; new processes follow when all nodes have confirmed that. */
function contain(view: RolloutView, progress: Progress, because: Reason): Decision {
  const assign = view.cluster.nodes
    .filter((node) => node.assignment(view.module)?.candidate)
    .map((node) => ({ nodeId: node.id, plan: onStable(view.stable) }));
  const { now } = view.cluster;
  return { kind: 'advance', because, assign, progress: { ...progress, stepStartedAt: now, containedAt: now } };
}

function beginAgain(view: RolloutView, steps: readonly Step[], step: Step, progress: Progress): Decision {
  const surroundings = awaitSurroundings(view);
  if (surroundings) return surroundings;
  return awaitConfirmation(view, progress.stepStartedAt) ?? enter(view, steps, steps.indexOf(step));
}

/** A step is over when the target is proved, at its longest duration when nothing speaks against it, and never before its shortest; where the policy says so, nodes probe from then on. */
function awaitProof(
  view: RolloutView,
  steps: readonly Step[],
  step: Step,
  { bakeSeconds, inconclusive }: CanaryAnalysis,
  { memory }: Look,
  since: Instant,
): Decision | null {
  const { title, number, targetPercent, bake } = step;
  if (memory?.state.ended === 'void') {
    return holdForPerson(
      view,
      reason(
        'sample-ratio',
        `${title}: requests are not shared by a fair coin, so nothing can be compared; a person has to decide`,
        { standing: memory.standing },
      ),
    );
  }
  const baked = elapsed(view, since);
  const forecast = forecastAt(view, targetPercent, baked);
  const found = forecast ? `; ${tellForecast(forecast)}` : '';
  const say = (code: string, why: string) =>
    reason(code, `${title}: ${inSeconds(baked)} ${why}; ${explainStanding(view, memory)}${found}`, {
      bakedMilliseconds: baked,
      traffic: view.traffic,
      standing: memory?.standing ?? null,
      forecast,
    });
  const wait = (code: string, why: string) => hold(view, say(code, why));
  if (baked < bake.minimumSeconds * second) return wait('baking', `of at least ${bake.minimumSeconds} s`);
  const next = steps.find((each) => each.number > number);
  const ageSeconds = memory ? elapsed(view, memory.beganAt + memory.state.attempt.beganAt * second) / second : 0;
  if (next?.targetPercent === 100 && ageSeconds < bakeSeconds)
    return wait('baking', `in the step, ${Math.round(ageSeconds)} s of at least ${bakeSeconds} s on all`);
  if (memory && isProved(memory)) return null;
  if (baked < bake.maximumSeconds * second) return wait('gathering-evidence', `of at most ${bake.maximumSeconds} s`);
  const probing = inconclusive === 'probe' ? probe(view, step) : null;
  if (probing === 'under-way') return wait('probing', "and nodes send the manifest's smoke requests to both");
  if (probing) return probing;
  const E = memory?.standing?.E ?? 0;
  if (E >= suspicious && baked < suspicionTimes * bake.maximumSeconds * second)
    return wait('suspicious', 'without a proof, and evidence against it');
  if (inconclusive === 'advance') return null;
  const tooFew = isJudged(view.policy.guards, view.traffic)
    ? 'nothing was proved'
    : 'too few requests to prove anything';
  return holdForPerson(view, say('not-judged', `and ${tooFew}: promote it, or roll it back`));
}

/** What the step could find at the traffic that it has had so far; null before there was any. */
function forecastAt({ policy, traffic }: RolloutView, percent: number, bakedMilliseconds: number) {
  const requests = traffic.target.requests + traffic.stable.requests;
  if (requests === 0 || bakedMilliseconds < forecastAfterMilliseconds) return null;
  const requestsPerSecond = (requests * second) / bakedMilliseconds;
  const errorRate = traffic.stable.requests === 0 ? 0 : traffic.stable.failures / traffic.stable.requests;
  return forecastDetection(policy, { requestsPerSecond, errorRate }).find((each) => each.percent === percent) ?? null;
}

function isProved({ standing, parameters }: AnalysisMemory): boolean {
  return standing !== null && Math.min(standing.proof.errors, standing.proof.latency) >= 1 / parameters.beta;
}

/** Adds to a decision what it means for the analysis: the stage that it enters, or that nothing is shared any more. */
function record(
  view: RolloutView,
  steps: readonly Step[],
  policy: CanaryAnalysis,
  { memory, entries }: Look,
  decision: Decision,
): Decision {
  const progress = decision.kind === 'advance' ? decision.progress : view.progress;
  // On a hold: the policy has only now asked for an analysis, in the middle of a step.
  const isGoingOn = decision.kind === 'advance' || decision.kind === 'hold';
  const known = memory ?? (isGoingOn ? beginMemory(view, steps, policy) : null);
  if (!known || !progress) return decision;
  const events = isGoingOn ? drive(view, steps, progress, known, decision.kind) : [];
  let { state } = known;
  for (const event of events) ({ state } = analyse(known.parameters, state, event));
  const standing = events.length > 0 ? null : known.standing;
  return { ...decision, analysis: { memory: { ...known, state, standing }, entries: [...entries, ...events] } };
}

/**
 * How the experiment is driven from now on, where that changes. With a twin a stage begins with its decision: the coin between target and twin is fair
 * at any share. Without one it begins when all nodes have confirmed their share. Events bear the time of the last block, so that a replay meets
 * them in the same order.
 */
function drive(
  view: RolloutView,
  steps: readonly Step[],
  progress: Progress,
  { state, parameters }: AnalysisMemory,
  kind: 'advance' | 'hold',
): Exclude<AnalysisEntry, { kind: 'verdict' }>[] {
  const { at, attempt } = state;
  const { twin } = parameters;
  const isShared =
    !progress.containedAt &&
    (twin || (kind === 'hold' && view.cluster.live.every((node) => node.confirms(view.module))));
  const isBegun = state.stage !== null && state.stage.weight > 0;
  const step = steps.find(({ number }) => number === progress.number);
  const { live } = view.cluster;
  const exposed = live.filter((node) => step?.plan(node).candidate);
  // Where stable can run on no node each has the target whole: there is nothing left to compare.
  const isCompared = exposed.length > 0 || progress.targetPercent >= 100;
  if (kind === 'hold' && (isBegun || !isShared || !isCompared)) return [];
  const planned = experimentSteps(steps, twin);
  const index = planned.findIndex(({ number }) => number === progress.number);
  const nodes = (exposed.length > 0 ? exposed : live).map(({ id }) => id);
  const weight = isShared && isCompared ? progress.targetPercent / 100 : 0;
  const stage: StageEvent = { kind: 'stage', at, stage: Math.max(0, index), nodes, weight };
  const isRestart = attempt.isWaiting && weight > 0;
  return isRestart ? [{ kind: 'restart', at, arms: twin ? ['C', 'T'] : ['C'] }, stage] : [stage];
}

function beginMemory(view: RolloutView, steps: readonly Step[], policy: CanaryAnalysis): AnalysisMemory {
  const parameters = experimentParameters(steps, policy);
  return { beganAt: view.cluster.now, parameters, state: beginAnalysis(parameters), standing: null };
}
