import type { DeploymentEvent } from '@hotswap/orchestrator';
import { EntitySchema } from 'typeorm';

export interface EventRow extends DeploymentEvent {
  deploymentId: string;
}

export const deploymentEventEntity = new EntitySchema<EventRow>({
  name: 'deployment_event',
  schema: 'hotswap',
  columns: {
    id: { type: 'bigint', primary: true, transformer: { from: Number, to: (id: number) => id } },
    deploymentId: { type: 'uuid', name: 'deployment_id', select: false },
    at: { type: 'timestamptz' },
    type: { type: 'text' },
    stage: { type: 'text', nullable: true },
    environment: { type: 'text', nullable: true },
    message: { type: 'text' },
    data: { type: 'jsonb' },
  },
});
