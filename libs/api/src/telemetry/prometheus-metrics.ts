import { Injectable, Logger } from '@nestjs/common';
import { deploymentStatuses, environments, finalStatuses, nodeStates } from '@hotswap/domain';
import { ClusterStore, DeploymentStore } from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { isStream } from '../streams/server-sent-event.js';
import { EventStreams } from '../streams/event-streams.js';
import { DocumentStreams } from '../node-protocol/document-streams.js';

const unfinished = deploymentStatuses.filter((status) => !finalStatuses.includes(status));
const countMax = 200;

/** What this process tells Prometheus. Gauges of the whole system are read from the database when someone scrapes. */
@Injectable()
export class PrometheusMetrics {
  private readonly logger = new Logger(PrometheusMetrics.name);
  private readonly registry = new Registry();
  private readonly requests: Histogram<'method' | 'route' | 'status'>;
  private readonly deploymentCount: Gauge<'status'>;
  private readonly nodeCount: Gauge<'environment' | 'state'>;
  private scrape: Promise<string> | null = null;

  constructor(
    private readonly deployments: DeploymentStore,
    private readonly clusters: ClusterStore,
    documents: DocumentStreams,
    events: EventStreams,
  ) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Histogram({
      name: 'hotswap_http_request_duration_seconds',
      help: 'Time from a request to the end of its answer, by route.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.deploymentCount = new Gauge({
      name: 'hotswap_deployments',
      help: `Unfinished deployments by status; a status with more than ${countMax} shows ${countMax}.`,
      labelNames: ['status'],
      registers,
    });
    this.nodeCount = new Gauge({
      name: 'hotswap_nodes',
      help: 'Nodes by environment and state.',
      labelNames: ['environment', 'state'],
      registers,
    });
    new Gauge({
      name: 'hotswap_document_streams',
      help: 'Nodes connected to this process.',
      registers,
      collect() {
        this.set(documents.count);
      },
    });
    new Gauge({
      name: 'hotswap_event_streams',
      help: 'Streams of events and metrics that clients have open at this process.',
      registers,
      collect() {
        this.set(events.count);
      },
    });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** Streams are left out: how long a client stays says nothing of this process. */
  observe(request: FastifyRequest, reply: FastifyReply): void {
    if (isStream(reply.raw)) return;
    const route = request.routeOptions.url ?? 'unknown';
    this.requests.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
  }

  /** Prometheus' text. Scrapes at the same time share one reading. */
  async text(): Promise<string> {
    this.scrape ??= this.collect().finally(() => (this.scrape = null));
    return this.scrape;
  }

  private async collect(): Promise<string> {
    this.deploymentCount.reset();
    this.nodeCount.reset();
    try {
      await Promise.all([this.countDeployments(), this.countNodes()]);
    } catch (error) {
      // The process' own figures matter most when the database is away.
      this.logger.warn(`Deployments and nodes could not be counted: ${(error as Error).message}`);
    }
    return this.registry.metrics();
  }

  private async countDeployments(): Promise<void> {
    for (const status of unfinished) {
      const { items } = await this.deployments.list({ status }, { limit: countMax, cursor: null });
      this.deploymentCount.set({ status }, items.length);
    }
  }

  private async countNodes(): Promise<void> {
    for (const environment of environments) {
      const { nodes, now, listening } = await this.clusters.load(environment);
      for (const state of nodeStates) {
        const count = nodes.filter((node) => node.state(now, listening) === state).length;
        this.nodeCount.set({ environment, state }, count);
      }
    }
  }
}
