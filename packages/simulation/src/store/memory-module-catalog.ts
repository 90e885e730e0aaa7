import type { ModuleCatalog } from '@hotswap/orchestrator';
import type { MemoryDatabase, VersionRow } from './memory-database.js';

/** As much of the catalog as a rollout needs. */
export class MemoryModuleCatalog implements Pick<ModuleCatalog, 'artifactBytes' | 'bundles'> {
  constructor(private readonly database: MemoryDatabase) {}

  publish(row: Omit<VersionRow, 'isWithdrawn'>): void {
    this.database.transaction((writer) =>
      writer.set('versions', versionKey(row.name, row.version), { ...row, isWithdrawn: false }),
    );
  }

  async artifactBytes(digest: string): Promise<Buffer | null> {
    return this.find(digest)?.bytes ?? null;
  }

  async bundles(digest: string): Promise<unknown[]> {
    return this.find(digest)?.bundles ?? [];
  }

  private find(digest: string): VersionRow | undefined {
    return [...this.database.tables.versions.values()].find(({ artifact }) => artifact === digest);
  }
}

export function versionKey(name: string, version: string): string {
  return `${name}@${version}`;
}
