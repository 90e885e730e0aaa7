import {
  defaultPolicy,
  EnvironmentCluster,
  KernelNode,
  type Decision,
  type EnvironmentName,
  type KernelNodeFacts,
  type ModuleObservation,
  type NodeAssignment,
  type NodePlan,
  type Policy,
  type Progress,
  type Release,
  type RolloutView,
} from '@hotswap/domain';

export const now = Date.UTC(2030, 0, 1);
const module = 'payments';

/** `v1` -> the release of version 1.0.0. */
export function release(name: string): Release {
  return {
    digest: `sha256:${name}`,
    module,
    version: `${name.slice(1)}.0.0`,
    artifact: `sha256:artifact-${name}`,
    configurationRevision: 0,
    configuration: {},
  };
}

/**
 * A fleet in one line: `a:v1 b:v1+v2@10 c:v2? d:v2! e:v1~ f:-`. Name, active release, candidate and its percent; `?` assigned but not
 * confirmed, `!` the newest release failed there, `=` it found no memory there, `~` silent, `-` nothing assigned, `<N` confirmed N seconds ago (default 3600),
 * `/z` in zone z.
 */
export function fleet(line: string, environment: EnvironmentName = 'Production'): EnvironmentCluster {
  const nodes = line
    .split(' ')
    .filter(Boolean)
    .map((word) => parseNode(word, environment));
  return new EnvironmentCluster(environment, nodes, [], now, { beatAt: now, gaps: [] });
}

export function view(
  line: string,
  overrides: Partial<RolloutView> & { environment?: EnvironmentName; policyOf?: (policy: Policy) => Policy } = {},
): RolloutView {
  const { environment = 'Production', policyOf = (policy) => policy, ...rest } = overrides;
  return {
    module,
    policy: policyOf(defaultPolicy(environment)),
    cluster: fleet(line, environment),
    stable: release('v1'),
    target: release('v2'),
    startedAt: now,
    progress: null,
    traffic: noTraffic,
    suspensions: [],
    promotion: null,
    ...rest,
  };
}

/** The view with other facts of one node. */
export function withFacts(
  base: RolloutView,
  id: string,
  change: (facts: KernelNodeFacts) => Partial<KernelNodeFacts>,
): RolloutView {
  const { environment, nodes, releases, now: at, listening } = base.cluster;
  const changed = nodes.map((node) =>
    node.id === id ? new KernelNode({ ...node.facts, ...change(node.facts) }) : node,
  );
  return { ...base, cluster: new EnvironmentCluster(environment, changed, releases, at, listening) };
}

/** What a decision does, in short: `hold baking`. */
export function code(decision: Decision): string {
  return `${decision.kind} ${decision.because.code}`;
}

/** What each assigned node is to run, as `v2 warm v1` or `v1 + v2 at 10`. */
export function plans(decision: Decision): Record<string, string> {
  if (decision.kind !== 'advance')
    throw new Error(`Expected an advance, got ${code(decision)}: ${decision.because.message}`);
  return Object.fromEntries(decision.assign.map(({ nodeId, plan }) => [nodeId, show(plan)]));
}

function show({ active, candidate, candidatePercent, warm }: NodePlan): string {
  const name = (digest: string | undefined) => digest?.replace('sha256:', '') ?? 'absent';
  return [
    name(active?.digest),
    ...(candidate ? [`+ ${name(candidate.digest)} at ${candidatePercent}`] : []),
    ...warm.map(({ digest }) => `warm ${name(digest)}`),
  ].join(' ');
}

export const noTraffic = {
  target: { requests: 0, failures: 0 },
  stable: { requests: 0, failures: 0 },
  before: { requests: 0, failures: 0 },
};

export function progress(number: number, changes: Partial<Progress> = {}): Progress {
  return {
    number,
    of: 4,
    targetPercent: 10,
    stepStartedAt: now - 3_600_000,
    scoutNodeId: 'a',
    exposedAt: now - 3_600_000,
    ...changes,
  };
}

const failures: Partial<Record<string, { failureKind: string; error: string }>> = {
  '!': { failureKind: 'smoke', error: 'smoke check 1: expected 200, got 500' },
  '=': { failureKind: 'memory', error: 'No room: it needs 176 MiB' },
};

function parseNode(word: string, environment: EnvironmentName): KernelNode {
  const match =
    /^(?<id>\w+):(?<active>-|v\d+)(?:\+(?<candidate>v\d+)@(?<percent>\d+))?(?<mark>[?!~=]?)(?:<(?<seconds>\d+))?(?:\/(?<zone>\w+))?$/.exec(
      word,
    );
  if (!match?.groups) throw new Error(`Not a node: ${word}`);
  const { id = '', active = '-', candidate, percent, mark, seconds, zone } = match.groups;
  const failure = mark === undefined ? undefined : failures[mark];
  const confirmed = mark !== '?' && failure === undefined;
  const assignment: NodeAssignment | null =
    active === '-'
      ? null
      : {
          active: release(active),
          candidate: candidate ? release(candidate) : null,
          candidatePercent: Number(percent ?? 0),
          warm: [],
          fallback: null,
          epoch: 1,
          revision: 2,
        };
  const observation: ModuleObservation = {
    active: active === '-' || !confirmed ? null : release(active).digest,
    candidate: confirmed && candidate ? release(candidate).digest : null,
    candidatePercent: confirmed ? Number(percent ?? 0) : 0,
    servingFallback: false,
    since: now - Number(seconds ?? 3600) * 1000,
    instances: [active, candidate]
      .filter((each) => each !== undefined && each !== '-')
      .map((each) => ({
        release: release(each as string).digest,
        version: release(each as string).version,
        state: failure && each === (candidate ?? active) ? 'Failed' : mark === '?' ? 'Loading' : 'Ready',
        error: failure?.error ?? null,
        failureKind: failure?.failureKind ?? null,
        crashes: 0,
      })),
  };
  return new KernelNode({
    id,
    environment,
    hostname: 'host',
    address: 'http://127.0.0.1:1',
    zone: zone ?? null,
    bootId: 'boot',
    pid: 1,
    reportedState: 'Ready',
    joinedAt: now - 7_200_000,
    lastHeartbeatAt: mark === '~' ? now - 60_000 : now,
    accepted: { epoch: 1, revision: mark === '?' ? 1 : 2 },
    assignments: new Map(assignment ? [[module, assignment]] : []),
    observations: new Map(active === '-' ? [] : [[module, observation]]),
  });
}
