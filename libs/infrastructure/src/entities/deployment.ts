import type { Deployment } from '@hotswap/domain';
import { EntitySchema } from 'typeorm';
import { instant } from './instant.js';

/** The row without the columns that only `claim-due` and `commit` use. */
export const deploymentEntity = new EntitySchema<Deployment>({
  name: 'deployment',
  schema: 'hotswap',
  columns: {
    id: { type: 'uuid', primary: true },
    module: { type: 'text' },
    version: { type: 'text' },
    artifact: { type: 'text' },
    targetEnvironment: { type: 'text', name: 'target_environment' },
    requesterEmail: { type: 'text', name: 'requester_email' },
    description: { type: 'text', nullable: true },
    metadata: { type: 'jsonb' },
    requireApproval: { type: 'boolean', name: 'require_approval' },
    breakGlass: { type: 'jsonb', name: 'break_glass', nullable: true },
    retryOf: { type: 'uuid', name: 'retry_of', nullable: true },
    status: { type: 'text' },
    reason: { type: 'jsonb' },
    request: { type: 'jsonb', nullable: true },
    pausedAt: { type: 'timestamptz', name: 'paused_at', nullable: true, transformer: instant },
    pauses: { type: 'jsonb' },
    promotion: { type: 'text', nullable: true },
    rollbackReason: { type: 'jsonb', name: 'rollback_reason', nullable: true },
    traceparent: { type: 'text', nullable: true },
    createdAt: { type: 'timestamptz', name: 'created_at', transformer: instant },
    startedAt: { type: 'timestamptz', name: 'started_at', nullable: true, transformer: instant },
    finishedAt: { type: 'timestamptz', name: 'finished_at', nullable: true, transformer: instant },
    revision: { type: 'integer' },
  },
  relations: {
    supersedes: { type: 'many-to-one', target: 'deployment', nullable: true, joinColumn: { name: 'supersedes' } },
  },
});
