import {
  EnvironmentCluster,
  KernelNode,
  type EnvironmentName,
  type EnvironmentRelease,
  type Instant,
  type Listening,
} from '@hotswap/domain';
import { isUnfinished } from './deployment-rows.js';
import { recordKey, type Tables } from './memory-database.js';

export function loadCluster(tables: Tables, environment: EnvironmentName, now: Instant): EnvironmentCluster {
  const nodes = [...tables.nodes.values()]
    .filter((node) => node.environment === environment && !node.isDecommissioned)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(
      ({
        secretHash: _,
        isDecommissioned: __,
        reportSequence: ___,
        refused: ____,
        document: _____,
        drainedBootId: ______,
        ...facts
      }) => {
        return new KernelNode(facts);
      },
    );
  return new EnvironmentCluster(environment, nodes, recordsOf(tables, environment), now, loadListening(tables));
}

export function loadListening({ beatAt, gaps }: Tables): Listening {
  return { beatAt: beatAt ?? 0, gaps: [...gaps] };
}

/** Where a module waits for its first release, there is no record yet: the stage on its way owns the place already, at revision 0. */
function recordsOf({ records, stages }: Tables, environment: EnvironmentName): EnvironmentRelease[] {
  const kept = [...records.values()].filter((record) => record.environment === environment);
  const awaited = [...stages.values()]
    .filter(
      (stage) =>
        stage.environment === environment &&
        stage.name === 'Deploy' &&
        isUnfinished(stage.status) &&
        !records.has(recordKey(environment, stage.module)),
    )
    .map(({ id, module }) => ({ environment, module, release: null, previous: null, ownerStageId: id, revision: 0 }));
  return [...kept, ...awaited].sort((a, b) => (a.module < b.module ? -1 : 1));
}
