import { describe, expect, it } from '@jest/globals';
import { EnvironmentCluster, KernelNode, planCluster, type Listening } from '@hotswap/domain';
import { fleet, now, release } from './fleet.js';

/** The fleet on its record: v1, which no deployment is moving; all heard just now but those marked `~`, silent for a minute. */
function clusterOf(line: string, listening: Partial<Listening> = {}, ownerStageId: string | null = null) {
  const { environment, nodes } = fleet(line);
  const record = { environment, module: 'payments', release: release('v1'), previous: null, ownerStageId, revision: 1 };
  return new EnvironmentCluster(environment, nodes, [record], now, { beatAt: now, gaps: [], ...listening });
}

const gap = (from: number, to: number) => ({ from: now - from * 1000, to: now - to * 1000 });

describe('the status of a cluster', () => {
  it.each([
    ['no node', '', 'Empty'],
    ['every node on its release', 'a:v1 b:v1', 'Healthy'],
    ['a node that has not said yet that it runs it', 'a:v1 b:v1?', 'Progressing'],
    ['a node that can not run it', 'a:v1 b:v1!', 'Degraded'],
    ['a lost node', 'a:v1 b:v1~', 'Degraded'],
  ])('%s', (_what, line, status) => {
    expect(clusterOf(line).status).toBe(status);
  });

  it('is Progressing while a node still has something of a module that was taken off', () => {
    const without = (line: string) => {
      const { environment, nodes, releases, listening } = clusterOf(line);
      const records = releases.map((record) => ({ ...record, release: null }));
      return new EnvironmentCluster(environment, nodes, records, now, listening);
    };
    expect(without('a:- b:v1').status).toBe('Progressing');
    expect(without('a:- b:-').status).toBe('Healthy');
  });

  it('is Progressing while a deployment moves a module', () => {
    expect(clusterOf('a:v1', {}, 'stage').status).toBe('Progressing');
  });

  it.each([
    ['heard since the gap ended', 'a:v1 b:v1', [gap(50, 1)], 'Healthy', 2],
    ['one not heard since the gap ended, but still in time', 'a:v1 b:v1~', [gap(50, 1)], 'Progressing', 1],
    ['one not heard since, and the time to be heard is over', 'a:v1 b:v1~', [gap(50, 20)], 'Degraded', 1],
    ['silent since an older gap too', 'a:v1 b:v1~', [gap(900, 800), gap(50, 1)], 'Progressing', 1],
  ])('after a gap: %s', (_what, line, gaps, status, healthyCount) => {
    const cluster = clusterOf(line, { gaps });
    expect(cluster.status).toBe(status);
    expect(cluster.nodes.filter((node) => cluster.isHealthy(node))).toHaveLength(healthyCount);
  });

  it('is Progressing while nobody listens: what the nodes said may be over', () => {
    expect(clusterOf('a:v1 b:v1', { beatAt: now - 6_000 }).status).toBe('Progressing');
    expect(clusterOf('a:v1 b:v1', { beatAt: now - 4_000 }).status).toBe('Healthy');
  });
});

describe('the cluster pass', () => {
  const withFailure = (cluster: EnvironmentCluster, id: string, failureKind: string) => {
    const nodes = cluster.nodes.map((node) => {
      const seen = node.observation('payments');
      if (node.id !== id || !seen) return node;
      const { digest, version } = release('v1');
      const failed = { release: digest, version, state: 'Failed' as const, error: 'it ended', failureKind, crashes: 5 };
      const observations = new Map([['payments', { ...seen, instances: [...seen.instances, failed] }]]);
      return new KernelNode({ ...node.facts, observations });
    });
    return new EnvironmentCluster(cluster.environment, nodes, cluster.releases, now, cluster.listening);
  };
  const assigned = (cluster: EnvironmentCluster) => planCluster(cluster).map(({ nodeId }) => nodeId);

  it('gives nodes what their record says, but never sends one back to a release that can not run there', () => {
    const cluster = clusterOf('a:v1 b:v2 c:v2 d:-');
    expect(assigned(cluster)).toEqual(['b', 'c', 'd']);
    expect(assigned(withFailure(cluster, 'b', 'crash-loop'))).toEqual(['c', 'd']);
    expect(assigned(withFailure(cluster, 'b', 'fetch'))).toEqual(['b', 'c', 'd']);
  });
});
