import type { Evidence } from '@hotswap/domain';
import { EntitySchema } from 'typeorm';
import { instant } from './instant.js';

export const evidenceEntity = new EntitySchema<Evidence>({
  name: 'evidence',
  schema: 'hotswap',
  columns: {
    stageId: { type: 'uuid', name: 'stage_id', primary: true },
    kind: { type: 'text', primary: true },
    subject: { type: 'text', primary: true },
    status: { type: 'text' },
    message: { type: 'text', nullable: true },
    data: { type: 'jsonb' },
    requestedAt: { type: 'timestamptz', name: 'requested_at', transformer: instant },
    deadlineAt: { type: 'timestamptz', name: 'deadline_at', transformer: instant },
  },
});
