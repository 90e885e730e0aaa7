import { apiPaths } from '../http/api-paths.js';
import { Problem } from '../problem/problem.js';

/** Deployment `id` is in the way. */
export function inProgress(id: string): Problem {
  const detail = `Deployment ${id} of the same module is under way in one of the environments; wait for it, or cancel it`;
  return new Problem('deployment-in-progress', detail, { deployment: apiPaths.deployment(id) });
}
