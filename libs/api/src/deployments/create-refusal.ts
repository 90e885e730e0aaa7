import type { CreateRefusal } from '@hotswap/orchestrator';
import { apiPaths } from '../http/api-paths.js';
import { Problem } from '../problem/problem.js';
import { moduleNotFound, versionNotFound } from '../validation/path-parameters.js';

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

export function inProgress(id: string): Problem {
  const detail = `Deployment ${id} of the same module is under way in one of the environments; wait for it, or cancel it`;
  return new Problem('deployment-in-progress', detail, { deployment: apiPaths.deployment(id) });
}
