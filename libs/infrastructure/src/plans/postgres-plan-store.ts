import { PlanStore, type PlannedDeployment, type SituationOutcome } from '@hotswap/orchestrator';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { readConsistently } from '../database/read-consistently.js';
import { findArtifact } from '../deployments/find-artifact.js';
import { loadSituation } from './load-situation.js';

@Injectable()
export class PostgresPlanStore extends PlanStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  load(wanted: PlannedDeployment): Promise<SituationOutcome> {
    return readConsistently(this.dataSource, async (manager, now) => {
      const found = await findArtifact(manager, wanted);
      if (found.kind !== 'found') return found;
      return { kind: 'found', situation: await loadSituation(manager, wanted, found, now) };
    });
  }
}
