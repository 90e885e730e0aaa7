import type { AnalysisEntry, AnalysisEvent, EnvironmentName } from '@hotswap/domain';
import { AnalysisStore, type StageAnalysis } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { loadReleases } from '../releases.js';
import { loadBlocks } from './load-analysis.js';

@Injectable()
export class PostgresAnalysisStore extends AnalysisStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  async find(deploymentId: string): Promise<StageAnalysis[] | null> {
    const { manager } = this.dataSource;
    const [deployment] = await manager.query<unknown[]>('SELECT FROM hotswap.deployment WHERE id = $1', [deploymentId]);
    if (!deployment) return null;
    const rows = await manager.query<Row[]>(selectAnalyses, [deploymentId]);
    const releases = await loadReleases(
      manager,
      rows.flatMap(({ from, to }) => [from, to]),
    );
    return rows.flatMap(({ from, to, ...row }) => {
      const target = releases.get(to);
      return target ? [{ ...row, target, stable: from === null ? null : (releases.get(from) ?? null) }] : [];
    });
  }

  async *events(stage: StageAnalysis): AsyncGenerator<AnalysisEvent> {
    const { beganAt, until, entries } = stage;
    const driven = entries.filter((entry) => entry.kind !== 'verdict');
    const takeUntil = (at: number) => driven.splice(0, driven.findLastIndex((entry) => entry.at < at) + 1);
    for (let from = beganAt; ;) {
      const blocks = await loadBlocks(this.dataSource.manager, stage, from, until);
      for (const { at, nodes } of blocks) {
        const seconds = (at - beganAt.getTime()) / 1000;
        // An event of a block's own time came after it.
        yield* takeUntil(seconds);
        yield { kind: 'block', at: seconds, nodes };
      }
      const last = blocks.at(-1);
      if (!last) break;
      from = new Date(last.at);
    }
    yield* driven;
  }
}

interface Row extends Omit<StageAnalysis, 'stable' | 'target' | 'entries' | 'environment'> {
  environment: EnvironmentName;
  entries: AnalysisEntry[];
  from: string | null;
  to: string;
}

const selectAnalyses = `
  SELECT stage.id AS "stageId", stage.environment, stage.module, stage.from_release AS "from", stage.to_release AS "to",
    kept.began_at AS "beganAt", kept.taken_in_until AS until, kept.parameters, kept.standing,
    coalesce((SELECT jsonb_agg(entry ORDER BY line.id) FROM hotswap.stage_analysis_entry AS line WHERE line.stage_id = stage.id), '[]') AS entries
  FROM hotswap.deployment_stage AS stage
  JOIN hotswap.stage_analysis AS kept ON kept.stage_id = stage.id
  WHERE stage.deployment_id = $1 AND stage.to_release IS NOT NULL
  ORDER BY stage.ordinal`;
