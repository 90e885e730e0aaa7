import { Injectable } from '@nestjs/common';
import { DeploymentStore } from '@hotswap/orchestrator';
import type { EventSource } from '../streams/event-streams.js';
import { showEvent } from './deployment-event.dto.js';

const readLimit = 200;

/** A deployment's story as it goes on. */
@Injectable()
export class DeploymentEventStream {
  constructor(private readonly deployments: DeploymentStore) {}

  /** The events after that one, until the deployment's final one. */
  after(deploymentId: string, afterId: number): EventSource {
    let sentId = afterId;
    const read: EventSource['read'] = async () => {
      const found = await this.deployments.eventsAfter(deploymentId, sentId, readLimit);
      if (!found) return { events: [], isOver: true };
      sentId = found.events.at(-1)?.id ?? sentId;
      const events = found.events.map((event) => ({ id: String(event.id), type: event.type, data: showEvent(event) }));
      return { events, hasMore: events.length === readLimit, isOver: found.isOver };
    };
    return { read, intervalMilliseconds: 1000, isWoken: true };
  }
}
