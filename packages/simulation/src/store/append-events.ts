import type { NewEvent } from '@hotswap/orchestrator';
import type { Writer } from './memory-database.js';

export function appendEvents(writer: Writer, deploymentId: string, events: readonly NewEvent[]): void {
  for (const event of events) {
    const id = (writer.read.events.at(-1)?.id ?? 0) + 1;
    writer.append('events', { ...event, id, deploymentId, at: writer.now });
  }
}
