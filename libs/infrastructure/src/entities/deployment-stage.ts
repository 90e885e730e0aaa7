import type { Stage } from '@hotswap/domain';
import type { DeploymentRecord } from '@hotswap/orchestrator';
import { EntitySchema } from 'typeorm';
import { instant } from './instant.js';

/** Nodes of the stage's environment, counted for display. */
export type NodeCounts = DeploymentRecord['nodes'][string];

export interface StageRow extends Stage {
  deploymentId: string;
  /** As counted when the stage finished; null before. */
  nodes: NodeCounts | null;
}

export const deploymentStageEntity = new EntitySchema<StageRow>({
  name: 'deployment_stage',
  schema: 'hotswap',
  columns: {
    id: { type: 'uuid', primary: true },
    deploymentId: { type: 'uuid', name: 'deployment_id' },
    ordinal: { type: 'smallint' },
    name: { type: 'text' },
    environment: { type: 'text', nullable: true },
    strategy: { type: 'text', nullable: true },
    status: { type: 'text' },
    startedAt: { type: 'timestamptz', name: 'started_at', nullable: true, transformer: instant },
    finishedAt: { type: 'timestamptz', name: 'finished_at', nullable: true, transformer: instant },
    progress: { type: 'jsonb', nullable: true },
    approval: { type: 'jsonb', nullable: true },
    reason: { type: 'jsonb', nullable: true },
    rollback: { type: 'jsonb', nullable: true },
    nodes: { type: 'jsonb', nullable: true },
  },
  relations: {
    from: { type: 'many-to-one', target: 'release', nullable: true, joinColumn: { name: 'from_release' } },
    to: { type: 'many-to-one', target: 'release', nullable: true, joinColumn: { name: 'to_release' } },
  },
});
