import type { CreateRefusal } from '@hotswap/orchestrator';
import { Problem } from '../problem/problem.js';
import { moduleNotFound, versionNotFound } from '../validation/path-parameters.js';
import { inProgress } from './in-progress.js';

/** Why no deployment was written. */
export function createRefusal(
  { module, version }: { module: string; version: string },
  outcome: CreateRefusal,
): Problem {
  switch (outcome.kind) {
    case 'module-not-found':
      return moduleNotFound(module);
    case 'version-not-found':
      return versionNotFound(module, version);
    case 'version-withdrawn':
      return new Problem('version-withdrawn', `${module} ${version} was withdrawn; deploy another version`);
    case 'idempotency-key-reused':
      return new Problem('idempotency-key-reused', 'This Idempotency-Key came with another body; choose a new one');
    case 'plan-outdated':
      return new Problem(
        'plan-outdated',
        'What the plan depends on (version, policies, releases, configuration, nodes, freezes, or the request itself) is not as it was; ask for a new plan',
      );
    case 'deployment-in-progress':
      return inProgress(outcome.id);
  }
}
