import type { AnalysisEvent } from '../events.js';
import type { DeploymentRecord } from './parse-record.js';

/** The lines of a recording, as `npm run analyze` reads them: the deployment, then its events in time order. */
export async function* writeRecording(
  deployment: Omit<DeploymentRecord, 'kind'>,
  events: AsyncIterable<AnalysisEvent>,
): AsyncGenerator<string> {
  yield JSON.stringify({ kind: 'deployment', ...deployment });
  for await (const event of events) yield JSON.stringify(event);
}
