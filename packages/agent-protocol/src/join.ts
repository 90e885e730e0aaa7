import type { NodeDocument } from './document.js';

export const environments = ['Development', 'QA', 'Staging', 'Production'] as const;
export type EnvironmentName = (typeof environments)[number];

/**
 * `POST /internal/v1/nodes`. Authorization: `Bearer <join token>` the first time (where one is set), `Bearer <node secret>` later.
 * A node keeps its id in a file of its directory; every process start has a new `bootId` (`<number of the start>.<anything>`). The latest registration
 * wins: reports of an older boot are answered 409 `fenced`. A boot newer than the registered one, as after a restore of the database, has to join again.
 */
export interface JoinRequest {
  nodeId: string;
  environment: EnvironmentName;
  bootId: string;
  pid: number;
  hostname: string;
  /** Where the node's module traffic port is reached, e.g. `http://127.0.0.1:7301`. */
  address: string;
  zone: string | null;
  kernelVersion: string;
  /** (epoch, revision) of the newest document that this node has accepted; null for a new node. */
  accepted: { epoch: number; revision: number } | null;
}

/** Whether one process of a node was started after another, as far as their boot ids tell. */
export function isLaterBoot(bootId: string, other: string): boolean {
  return numberOf(bootId) > numberOf(other);
}

function numberOf(bootId: string): number {
  return Number(/^(\d{1,15})\./.exec(bootId)?.[1] ?? 0);
}

export interface JoinResponse {
  nodeId: string;
  /** Bearer token of this node from now on; the node keeps it in a file with mode 0600. */
  secret: string;
  document: NodeDocument;
}

/**
 * The rest of the protocol, all with `Authorization: Bearer <node secret>` and `x-hotswap-boot: <bootId>`:
 *
 * - `GET /internal/v1/nodes/{id}/document`: the document as JSON; with `Accept: text/event-stream` a stream of
 *   `event: document` (data = the whole NodeDocument) at once and at every change, and a comment line `: ping` every 10 s.
 * - `POST /internal/v1/nodes/{id}/reports`: a NodeReport; 204, 409 `fenced`, 410 `decommissioned`.
 * - `GET /internal/v1/artifacts/{digest}`: the artifact's bytes. `GET /internal/v1/artifacts/{digest}/bundles`: `{ "items": [Sigstore bundle, …] }`.
 */
export const protocolPaths = {
  join: '/internal/v1/nodes',
  document: (nodeId: string) => `/internal/v1/nodes/${encodeURIComponent(nodeId)}/document`,
  reports: (nodeId: string) => `/internal/v1/nodes/${encodeURIComponent(nodeId)}/reports`,
  artifact: (digest: string) => `/internal/v1/artifacts/${encodeURIComponent(digest)}`,
  bundles: (digest: string) => `/internal/v1/artifacts/${encodeURIComponent(digest)}/bundles`,
} as const;
