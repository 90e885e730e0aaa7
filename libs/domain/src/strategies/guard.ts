import { isOfNode } from '../kernel-node.js';
import type { Guards } from '../policy.js';
import { inPercent, reason, type Reason } from '../reason.js';
import type { RolloutTraffic, RolloutView, Traffic } from '../rollout/rollout-view.js';
import { findBootDeaths } from './boot-deaths.js';

/**
 * The rules by which a target is taken back, first match wins: it could not be made to run on a node, its processes keep ending, or its
 * requests fail. Null: nothing speaks against it.
 */
export function findFault(view: RolloutView): Reason | null {
  return (
    faultOfProcess(view) ??
    faultOfTraffic(view.policy.guards, view.traffic, view.target.version) ??
    faultOfLoad(view.policy.guards, view.traffic, view.target.version)
  );
}

/** The same where an analysis compares target and stable: only what no comparison excuses. */
export function findLimitFault(view: RolloutView): Reason | null {
  const { guards } = view.policy;
  return (
    faultOfProcess(view) ??
    faultOfShare(guards, view.traffic, view.target.version) ??
    faultOfLoad(guards, view.traffic, view.target.version)
  );
}

/** What takes whole processes with it: the target's own, or its node's. */
export function faultOfProcess(view: RolloutView): Reason | null {
  return faultOfInstance(view) ?? findBootDeaths(view);
}

/** A node that could not fetch the artifact, or has no memory left for it, says nothing about the version: that is waited for. */
function faultOfInstance({ cluster, module, target, policy }: RolloutView): Reason | null {
  for (const node of cluster.live) {
    const failure = node.failureOf(module, target);
    if (failure && !isOfNode(failure)) {
      return reason(
        'target-failed',
        `${target.version} can't run on node ${node.id} (${failure.failureKind ?? 'unknown'}): ${failure.error ?? 'no message'}`,
        { nodeId: node.id, failureKind: failure.failureKind, error: failure.error },
      );
    }
    const crashes = node.crashesOf(module, target);
    if (crashes > policy.guards.crashesMax) {
      return reason(
        'target-crashes',
        `The process of ${target.version} ended ${crashes} times unasked on node ${node.id}`,
        {
          nodeId: node.id,
          crashes,
          crashesMax: policy.guards.crashesMax,
        },
      );
    }
  }
  return null;
}

/** Judges the target by its failed share: against stable at the same time, or, where stable hardly serves, by an absolute limit. */
export function faultOfTraffic(guards: Guards, traffic: RolloutTraffic, version: string): Reason | null {
  const { target, stable, before } = traffic;
  if (target.requests < guards.requestsMin || target.failures < guards.failuresMin) return null;
  const failedShare = share(target);
  if (stable.requests >= guards.requestsMin) {
    const stableShare = share(stable);
    const isWorse =
      failedShare > stableShare * guards.failedShareRatioMax &&
      (failedShare - stableShare) * 100 > guards.failedSharePointsMax;
    if (!isWorse) return null;
    return reason(
      'failed-share-above-stable',
      `${describe(target)} failed on ${version}, against ${describe(stable)} on stable at the same time`,
      {
        target,
        stable,
        failedShareRatioMax: guards.failedShareRatioMax,
        failedSharePointsMax: guards.failedSharePointsMax,
      },
    );
  }
  return aboveLimit(guards, traffic.target, before, 'in the minute before', version);
}

/** The absolute limit alone; what fails alike on stable at the same time is no fault of the target. */
function faultOfShare(guards: Guards, { target, stable, before }: RolloutTraffic, version: string): Reason | null {
  if (target.requests < guards.requestsMin || target.failures < guards.failuresMin) return null;
  return stable.requests >= guards.requestsMin
    ? aboveLimit(guards, target, stable, 'on stable at the same time', version)
    : aboveLimit(guards, target, before, 'in the minute before', version);
}

function aboveLimit(guards: Guards, target: Traffic, other: Traffic, where: string, version: string): Reason | null {
  const isAboveLimit = share(target) * 100 >= guards.failedSharePercentMax;
  const isAboveOther = share(target) > share(other) * guards.failedShareTimesBeforeMax;
  if (!isAboveLimit || !isAboveOther) return null;
  return reason(
    'failed-share-above-limit',
    `${describe(target)} failed on ${version} (limit ${guards.failedSharePercentMax} %), against ${describe(other)} ${where}`,
    { target, other, failedSharePercentMax: guards.failedSharePercentMax },
  );
}

const mebibyte = 1024 * 1024;

/** The limits of latency, CPU and memory, where the policy has them. */
function faultOfLoad(guards: Guards, { target, targetLoad }: RolloutTraffic, version: string): Reason | null {
  if (!targetLoad) return null;
  const { latencyP99Seconds, cpuPercentMax, memoryBytesMax } = targetLoad;
  const isAnswered = target.requests >= guards.requestsMin;
  return (
    above(
      'latency-above-limit',
      `p99 of ${version}`,
      isAnswered && latencyP99Seconds !== null ? latencyP99Seconds * 1000 : null,
      guards.latencyP99MillisecondsMax,
      'ms',
    ) ??
    above('cpu-above-limit', `CPU of a process of ${version}`, cpuPercentMax, guards.cpuPercentMax, '%') ??
    above(
      'memory-above-limit',
      `Memory of a process of ${version}`,
      memoryBytesMax === null ? null : memoryBytesMax / mebibyte,
      guards.memoryMiBMax,
      'MiB',
    )
  );
}

function above(
  code: string,
  what: string,
  value: number | null,
  limit: number | null | undefined,
  unit: string,
): Reason | null {
  if (value === null || limit === null || limit === undefined || value <= limit) return null;
  return reason(code, `${what} is ${Number(value.toPrecision(3))} ${unit}, the limit ${limit} ${unit}`, {
    value,
    limit,
    unit,
  });
}

/** Enough requests on the target to say something about it. */
export function isJudged(guards: Guards, traffic: RolloutTraffic): boolean {
  return traffic.target.requests >= guards.requestsMin;
}

/** "3 of 1,200 requests (0.25 %)". */
export function describe(traffic: Traffic): string {
  const count = `${traffic.failures.toLocaleString('en')} of ${traffic.requests.toLocaleString('en')} requests`;
  return traffic.requests === 0 ? count : `${count} (${inPercent(share(traffic))})`;
}

function share({ requests, failures }: Traffic): number {
  return requests === 0 ? 0 : failures / requests;
}
