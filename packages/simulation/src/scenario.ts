import { createHash } from 'node:crypto';
import { defaultPolicy, environments, strategyNames, type EnvironmentName, type Policy } from '@hotswap/domain';
import { describeRelease } from '@hotswap/orchestrator';
import type { Behaviour, SimulatedVersion } from './behaviour.js';
import type { Random } from './runtime/random.js';

/** What a seed is about; drawn before anything happens. */
export interface Scenario {
  environments: { name: EnvironmentName; nodeCount: number; policy: Policy }[];
  modules: string[];
  versions: SimulatedVersion[];
  replicaCount: number;
  /** The environments run the first version of every module when the simulation begins. */
  isSettled: boolean;
  faultSeconds: number;
  /** Share of commits that come seconds late. */
  lateCommits: number;
  /** Kinds of faults that happen in this seed, and how often one does. */
  faults: readonly FaultKind[];
  faultIntervalSeconds: number;
}

export const faultKinds = [
  'node-crash',
  'node-freeze',
  'node-leave',
  'node-join',
  'node-copy',
  'node-cut-off',
  'disk-full',
  'replica-crash',
  'replica-freeze',
  'database-outage',
  'database-slow',
  'database-restore',
  'artifacts-away',
  'network',
] as const;
export type FaultKind = (typeof faultKinds)[number];

const versionsPerModule = 6;

export function drawScenario(random: Random): Scenario {
  const isLong = random.chance(0.15);
  const names = isLong ? environments : environments.slice(0, random.whole(1, 2));
  const modules = random.chance(0.25) ? ['payments', 'prices'] : ['payments'];
  return {
    environments: names.map((name) => ({
      name,
      nodeCount: isLong ? random.whole(1, 2) : random.whole(2, 5),
      policy: drawPolicy(random, name),
    })),
    modules,
    versions: modules.flatMap((module) => drawVersions(random, module)),
    replicaCount: random.whole(1, 3),
    isSettled: random.chance(0.85),
    faultSeconds: random.between(35, 70),
    faults: faultKinds.filter(() => random.chance(0.4)),
    faultIntervalSeconds: random.between(3, 15),
    lateCommits: random.chance(0.4) ? random.between(0.01, 0.1) : 0,
  };
}

/** As an environment's own, with times that fit a simulation of minutes. */
export function drawPolicy(random: Random, environment: EnvironmentName): Policy {
  const standard = defaultPolicy(environment);
  const hasAnalysis = random.chance(0.3);
  return {
    ...standard,
    strategy: random.pick(strategyNames) ?? standard.strategy,
    canary: {
      scout: random.chance(0.6) ? { percent: 20, seconds: 2 } : null,
      steps: [
        { percent: 30, minimumSeconds: 2, maximumSeconds: 6 },
        { percent: 50, minimumSeconds: 2, maximumSeconds: 6 },
        { percent: 100, minimumSeconds: 0, maximumSeconds: 3 },
      ],
      analysis: hasAnalysis
        ? {
            twin: random.chance(0.5),
            bakeSeconds: 4,
            inconclusive: random.chance(0.8) ? 'advance' : 'hold',
            parameters: {},
          }
        : null,
    },
    rolling: {
      maxUnavailable: random.pick(['25%', '50%', '1', '0'] as const),
      maxSurge: random.pick(['0', '0', '1', '25%'] as const),
      minimumReadySeconds: random.pick([0, 2, 4] as const),
    },
    blueGreen: { autoPromote: random.chance(0.85), bakeSeconds: 2 },
    guards: { ...standard.guards, requestsMin: 6, failuresMin: 3 },
    warmSeconds: random.pick([5, 20, 60] as const),
    drainSeconds: 6,
    progressDeadlineSeconds: random.pick([15, 30] as const),
    validateSeconds: 3,
  };
}

function drawVersions(random: Random, module: string): SimulatedVersion[] {
  return Array.from({ length: versionsPerModule }, (_, index) => {
    const version = `${index + 1}.0.0`;
    const artifact = `sha256:${createHash('sha256').update(`${module}@${version}`).digest('hex')}`;
    const contents = { module, version, artifact, configurationRevision: 0, configuration: {} };
    return {
      module,
      version,
      artifact,
      release: describeRelease(contents).digest,
      behaviour: index === 0 ? { kind: 'good' } : drawBehaviour(random),
      startMilliseconds: random.chance(0.1) ? random.between(2000, 4000) : random.between(30, 600),
    };
  });
}

function drawBehaviour(random: Random): Behaviour {
  if (random.chance(0.55)) return { kind: 'good' };
  return random.pick<Behaviour>([
    { kind: 'unloadable', phase: random.pick(['load', 'start', 'health'] as const) },
    { kind: 'crashing', afterMilliseconds: random.between(0, 5000) },
    { kind: 'crashing', afterMilliseconds: random.between(0, 60_000) },
    { kind: 'inactivable' },
    { kind: 'failing', share: random.between(0.3, 1) },
    { kind: 'hanging', afterMilliseconds: random.between(0, 8000) },
    { kind: 'slow', milliseconds: random.between(300, 4500) },
    { kind: 'untrusted-on-nodes' },
    { kind: 'unsigned' },
  ]);
}
