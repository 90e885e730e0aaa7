import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { NodeRegistry } from '@hotswap/orchestrator';
import type { FastifyRequest } from 'fastify';
import { ApiSettings, isLoopback } from '../api-settings.js';
import { Problem } from '../problem/problem.js';
import { bearerOf, isSameSecret, secretHash } from '../security/bearer.js';
import { nodeIdPattern } from '../validation/path-parameters.js';

/** How a node came to join: with the secret it has, or as one that gets a new one. */
export interface Admission {
  secret: string;
  knownSecretHash: string | null;
}

/**
 * Who calls the node protocol. A node's secret is `<node id>.<32 random bytes, base64url>`: it names its holder, so that calls whose address has
 * no node id need no search. Only its sha256 is stored.
 */
@Injectable()
export class NodeAuthentication {
  constructor(
    private readonly nodes: NodeRegistry,
    @Inject(ApiSettings) private readonly settings: ApiSettings,
  ) {}

  /** Whether this caller may join as `nodeId`; throws a Problem. */
  async admit(request: FastifyRequest, nodeId: string): Promise<Admission> {
    const given = bearerOf(request);
    const kept = await this.nodes.secretHash(nodeId);
    if (given !== null && kept !== null && isSameSecret(secretHash(given), kept))
      return { secret: given, knownSecretHash: secretHash(given) };
    if (!this.mayJoin(request, given)) {
      const known =
        given === null ? 'no bearer token' : 'a bearer token that is neither the join token nor this node’s secret';
      throw unauthenticated(`The node came with ${known}; set HOTSWAP_JOIN_TOKEN of this control plane on the node`);
    }
    if (kept !== null && this.settings.joinToken === null) throw secretLost(nodeId);
    return { secret: `${nodeId}.${randomBytes(32).toString('base64url')}`, knownSecretHash: null };
  }

  /** The node whose secret came with the request; `nodeId`: it has to be this one. Throws a Problem. */
  async identify(request: FastifyRequest, nodeId?: string): Promise<string> {
    const given = bearerOf(request);
    const holder = given?.slice(0, given.lastIndexOf('.')) ?? '';
    const isHolder = nodeIdPattern.test(holder) && (nodeId === undefined || nodeId === holder);
    if (given !== null && isHolder && (await this.isSecretOf(given, holder))) return holder;
    throw unauthenticated('Send Authorization: Bearer <the secret from joining>; join again where it is lost');
  }

  private async isSecretOf(given: string, nodeId: string): Promise<boolean> {
    const kept = await this.nodes.secretHash(nodeId);
    return kept !== null && isSameSecret(secretHash(given), kept);
  }

  private mayJoin(request: FastifyRequest, given: string | null): boolean {
    const { joinToken } = this.settings;
    if (joinToken === null) return isLoopback(request.ip);
    return given !== null && isSameSecret(given, joinToken);
  }
}

// Whoever knows a node's id could take its place.
function secretLost(nodeId: string): Problem {
  return unauthenticated(
    `Node ${nodeId} has joined before and came without its secret. Only a join token gets it a new one: set HOTSWAP_JOIN_TOKEN here and on the node, or start the node with an empty directory`,
  );
}

function unauthenticated(detail: string): Problem {
  return new Problem('unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer realm="hotswap-nodes"' } });
}
