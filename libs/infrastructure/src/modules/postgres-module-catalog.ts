import type { EnvironmentName } from '@hotswap/domain';
import {
  ModuleCatalog,
  type ModuleSummary,
  type ModuleVersion,
  type NewModuleVersion,
  type Page,
  type PageRequest,
  type PublishOutcome,
  type VersionedConfiguration,
} from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { rcompare } from 'semver';
import { DataSource, type EntityManager } from 'typeorm';
import { decodeCursor, toPage } from '../cursor.js';
import { loadConfiguration, replaceConfiguration } from './module-configuration.js';
import { findVersion, publishVersion } from './publish-version.js';
import { withdrawVersion } from './withdraw-version.js';

@Injectable()
export class PostgresModuleCatalog extends ModuleCatalog {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  publish(version: NewModuleVersion): Promise<{ outcome: PublishOutcome; published: ModuleVersion }> {
    return publishVersion(this.dataSource, version);
  }

  async list(page: PageRequest): Promise<Page<ModuleSummary>> {
    const [after] = page.cursor === null ? [''] : decodeCursor(page.cursor, [/^.{1,300}$/]);
    const names = await this.dataSource.query<{ name: string }[]>(
      'SELECT DISTINCT name FROM hotswap.module_version WHERE name > $1 ORDER BY name LIMIT $2',
      [after, page.limit + 1],
    );
    const { items, nextCursor } = toPage(names, page, ({ name }) => [name]);
    return {
      items: await loadSummaries(
        this.dataSource.manager,
        items.map(({ name }) => name),
      ),
      nextCursor,
    };
  }

  async find(name: string): Promise<ModuleSummary | null> {
    const [summary] = await loadSummaries(this.dataSource.manager, [name]);
    return summary && summary.versions.length > 0 ? summary : null;
  }

  findVersion(name: string, version: string): Promise<ModuleVersion | null> {
    return findVersion(this.dataSource.manager, name, version);
  }

  async artifactBytes(digest: string): Promise<Buffer | null> {
    const [artifact] = await this.dataSource.query<{ bytes: Buffer }[]>(
      'SELECT bytes FROM hotswap.artifact WHERE digest = $1',
      [digest],
    );
    return artifact?.bytes ?? null;
  }

  async bundles(digest: string): Promise<unknown[]> {
    const rows = await this.dataSource.query<{ bundle: unknown }[]>(
      'SELECT bundle FROM hotswap.signature_bundle WHERE artifact = $1 ORDER BY stored_at, digest',
      [digest],
    );
    return rows.map(({ bundle }) => bundle);
  }

  withdraw(name: string, version: string, reason: string): Promise<ModuleVersion | null> {
    return withdrawVersion(this.dataSource, name, version, reason);
  }

  configuration(module: string, environment: EnvironmentName): Promise<VersionedConfiguration> {
    return loadConfiguration(this.dataSource.manager, module, environment);
  }

  replaceConfiguration(
    module: string,
    environment: EnvironmentName,
    values: Record<string, unknown>,
    expectedRevision: number,
  ): Promise<VersionedConfiguration | null> {
    return replaceConfiguration(this.dataSource.manager, module, environment, values, expectedRevision);
  }
}

async function loadSummaries(manager: EntityManager, names: string[]): Promise<ModuleSummary[]> {
  const versions = await manager.query<{ name: string; version: string; isWithdrawn: boolean }[]>(
    'SELECT name, version, withdrawn_at IS NOT NULL AS "isWithdrawn" FROM hotswap.module_version WHERE name = ANY($1)',
    [names],
  );
  const running = await manager.query<{ module: string; environment: EnvironmentName; version: string }[]>(
    `SELECT record.module, environment, version
     FROM hotswap.environment_release AS record
     JOIN hotswap.release ON release.digest = record.release
     WHERE record.module = ANY($1)`,
    [names],
  );
  return names.map((name) => {
    const own = versions.filter((row) => row.name === name).sort((a, b) => rcompare(a.version, b.version));
    return {
      name,
      versions: own.map(({ version }) => version),
      withdrawnVersions: own.filter(({ isWithdrawn }) => isWithdrawn).map(({ version }) => version),
      environments: Object.fromEntries(
        running.filter(({ module }) => module === name).map(({ environment, version }) => [environment, version]),
      ),
    };
  });
}
