import type { Release } from '@hotswap/domain';
import { EntitySchema } from 'typeorm';

export const releaseEntity = new EntitySchema<Release>({
  name: 'release',
  schema: 'hotswap',
  columns: {
    digest: { type: 'text', primary: true },
    module: { type: 'text' },
    version: { type: 'text' },
    artifact: { type: 'text' },
    configurationRevision: { type: 'integer', name: 'configuration_revision' },
    configuration: { type: 'jsonb' },
  },
});
