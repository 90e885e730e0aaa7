// The real control plane, put together as apps/orchestrator-api does it, with one thing around its RolloutStore: after a commit that it was told of
// it sends SIGKILL to itself. Run by Node.js as it is, on the built product; orders come from the test by IPC.
import { writeSync } from 'node:fs';
import type { DeploymentView, PipelineDecision } from '@hotswap/domain';
import type { FromOrchestrator, ToOrchestrator } from './mortal-orders.js';

const app = new URL('../../apps/orchestrator-api/dist/', import.meta.url);
await import('@hotswap/infrastructure/telemetry');
const { RolloutStore } = await import('@hotswap/orchestrator');
const { loadTrustFile } = await import('@hotswap/module-kit');
const { createApplication } = (await import(
  new URL('application.js', app).href
)) as typeof import('../../apps/orchestrator-api/src/application.js');
const { lastWords } = (await import(
  new URL('mortal-orders.ts', import.meta.url).href
)) as typeof import('./mortal-orders.js');
const { createLog } = (await import(
  new URL('log.js', app).href
)) as typeof import('../../apps/orchestrator-api/src/log.js');
const { readSettings } = (await import(
  new URL('settings.js', app).href
)) as typeof import('../../apps/orchestrator-api/src/settings.js');

let fatalPoints = new Set<string>();

const settings = readSettings(process.env);
const application = await createApplication(
  settings,
  await loadTrustFile(settings.trustFile),
  createLog(settings.logLevel),
);
const store = application.get(RolloutStore);
const commit = store.commit.bind(store);
store.commit = async (view, decision) => {
  const outcome = await commit(view, decision);
  const point = outcome === 'committed' ? killPoint(view, decision) : null;
  if (point === null) return outcome;
  if (fatalPoints.has(point)) {
    writeSync(1, `${lastWords}${point}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
  tell({ kind: 'committed', point });
  return outcome;
};

process.on('message', (message: ToOrchestrator) => {
  if (message.kind === 'die-after') {
    fatalPoints = new Set(message.points);
    tell({ kind: 'ordered' });
  } else {
    void application
      .listen(0, settings.host)
      .then(() => application.getUrl())
      .then((url) => tell({ kind: 'serving', port: Number(new URL(url).port) }));
  }
});
process.on('disconnect', () => process.exit(1));
tell({ kind: 'prepared' });

/** What was decided, in words that are the same in each run; null for one more look at the same wait. */
function killPoint({ deployment, stages }: DeploymentView, decision: PipelineDecision): string | null {
  const { kind, because, stageId, assign } = decision;
  if (kind === 'hold' && because.code === deployment.reason.code) return null;
  const stage = stages.find(({ id }) => id === stageId);
  const progress = decision.stages.find((change) => change.stageId === stageId)?.progress ?? stage?.progress;
  const step = progress ? ` (step ${progress.number})` : '';
  const nodes = assign.length > 0 ? `, ${assign.length} nodes` : '';
  return `${stage?.name ?? 'End'}${step}: ${kind}, ${because.code}${nodes}`;
}

function tell(message: FromOrchestrator): void {
  process.send?.(message);
}
