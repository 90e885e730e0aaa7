import type { Guards } from '../policy.js';
import { inPercent, reason, type Reason } from '../reason.js';
import type { RolloutTraffic, RolloutView, Traffic } from '../rollout/rollout-view.js';

/**
 * The rules by which a target is taken back, first match wins: it could not be made to run on a node, its processes keep ending, or its
 * requests fail. Null: nothing speaks against it.
 */
export function findFault(view: RolloutView): Reason | null {
  return faultOfInstance(view) ?? faultOfTraffic(view.policy.guards, view.traffic, view.target.version);
}

/** A node that could not fetch the artifact says nothing about the version: that is waited for. */
function faultOfInstance({ cluster, module, target, policy }: RolloutView): Reason | null {
  for (const node of cluster.live) {
    const failure = node.failureOf(module, target);
    if (failure && failure.failureKind !== 'fetch') {
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
  const isAboveLimit = failedShare * 100 >= guards.failedSharePercentMax;
  const isAboveBefore = failedShare > share(before) * guards.failedShareTimesBeforeMax;
  if (!isAboveLimit || !isAboveBefore) return null;
  return reason(
    'failed-share-above-limit',
    `${describe(target)} failed on ${version} (limit ${guards.failedSharePercentMax} %), against ${describe(before)} in the minute before`,
    { target, before, failedSharePercentMax: guards.failedSharePercentMax },
  );
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
