import { readdirSync } from 'node:fs';
import type { Logger } from 'pino';
import type { DataDirectory } from './data-directory.js';
import { postgresEndSteps } from './postgres/embedded-postgres.js';
import { nodeEndSteps, orchestratorEndSteps } from './process-plans.js';
import { endLeftover } from './supervisor/supervised-process.js';

/**
 * Ends what an earlier launcher that was killed has left running, in the order of a normal end: nodes, orchestrator, Postgres.
 * The new start then makes all of them anew (Postgres replays its log).
 * @throws Error naming a process that does not end
 */
export async function endLeftovers(data: DataDirectory, log: Logger): Promise<void> {
  const names = readdirSync(data.runFolder)
    .filter((file) => file.endsWith('.pid'))
    .map((file) => file.slice(0, -'.pid'.length));
  const nodes = names.filter((name) => name.startsWith('kernel-node-'));
  await Promise.all(nodes.map((name) => endLeftover(data.pidFile(name), name, nodeEndSteps, log)));
  await endLeftover(data.pidFile('orchestrator-api'), 'orchestrator-api', orchestratorEndSteps, log);
  await endLeftover(data.pidFile('postgres'), 'postgres', postgresEndSteps, log);
}
