import { type JoinRequest, type JoinResponse, type NodeReport, protocolPaths } from '@hotswap/agent-protocol';
import type { Identity } from './identity.js';
import { readServerEvents } from './read-server-events.js';

const callTimeoutMs = 5_000;
const artifactTimeoutMs = 60_000;
const answerBytesMax = 8 * 1024 * 1024;

/** How the control plane answered where it did not do what was asked; `code` is that of its problem document. */
export class ControlPlaneError extends Error {
  constructor(
    call: string,
    readonly status: number,
    readonly code: string | null,
  ) {
    super(`${call}: the control plane answered ${status}${code ? ` ${code}` : ''}`);
    this.name = 'ControlPlaneError';
  }

  /** A later process of this node has registered: this one is a copy that lives on. */
  get fenced(): boolean {
    return this.status === 409 && this.code === 'fenced';
  }

  /** The node was taken out of its cluster for good. */
  get decommissioned(): boolean {
    return this.status === 410 && this.code === 'decommissioned';
  }

  /** The control plane does not know this node, or not by this secret: it has to join again. */
  get unknownNode(): boolean {
    return this.status === 401 || this.code === 'node-not-found';
  }

  /** The same call can't pass later. */
  get permanent(): boolean {
    return (
      this.status >= 400 && this.status < 500 && !this.unknownNode && ![408, 409, 410, 425, 429].includes(this.status)
    );
  }
}

/** The node's side of the node protocol: one method per call, each with a time-out and a limit on the answer's size. */
export class ControlPlane {
  constructor(
    private readonly url: string,
    private readonly identity: Identity,
  ) {}

  /** Joins with `token`, or with none. Throws ControlPlaneError, or what the network says. */
  async join(request: JoinRequest, token: string | null, signal: AbortSignal): Promise<JoinResponse> {
    const response = await this.call('join', protocolPaths.join, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify(request),
      signal: withTimeout(signal, callTimeoutMs),
    });
    const answer = (await readJson(response)) as Partial<JoinResponse> | null;
    if (typeof answer?.secret !== 'string' || answer.secret === '' || answer.document === undefined)
      throw new Error('join: the answer has no secret or no document');
    return answer as JoinResponse;
  }

  /** The node's document as it is now, unchecked. */
  async loadDocument(signal: AbortSignal): Promise<unknown> {
    const path = protocolPaths.document(this.identity.nodeId);
    const response = await this.call('document', path, {
      headers: { accept: 'application/json', ...this.credentials() },
      signal: withTimeout(signal, callTimeoutMs),
    });
    return readJson(response);
  }

  /**
   * Gives each document of the stream, unchecked, to `onDocument`, one after the other. Returns when the control plane ends the stream; throws when
   * nothing, not even a ping, came for `silenceSeconds`.
   */
  async streamDocument(
    silenceSeconds: number,
    signal: AbortSignal,
    onDocument: (document: unknown) => Promise<void>,
  ): Promise<void> {
    const silence = new AbortController();
    const fallSilent = () => silence.abort(new Error(`the document stream was silent for ${silenceSeconds} s`));
    const timer = setTimeout(fallSilent, silenceSeconds * 1000);
    try {
      const path = protocolPaths.document(this.identity.nodeId);
      const response = await this.call('document stream', path, {
        headers: { accept: 'text/event-stream', ...this.credentials() },
        signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body)
        throw new Error('document stream: the answer is no event stream');
      for await (const event of readServerEvents(response.body, answerBytesMax, () => timer.refresh())) {
        if (event.type === 'document') await onDocument(JSON.parse(event.data));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async report(report: NodeReport, signal: AbortSignal): Promise<void> {
    const response = await this.call('report', protocolPaths.reports(this.identity.nodeId), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.credentials() },
      body: JSON.stringify(report),
      signal: withTimeout(signal, callTimeoutMs),
    });
    await response.body?.cancel();
  }

  /** An artifact's bytes, unverified. Throws where they are more than `bytesMax`. */
  async fetchArtifact(digest: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.call('artifact', protocolPaths.artifact(digest), {
      headers: this.credentials(),
      signal: withTimeout(signal, artifactTimeoutMs),
    });
    return readBytes(response, bytesMax);
  }

  /** The Sigstore bundles kept for an artifact, unverified. */
  async fetchBundles(digest: string, signal: AbortSignal): Promise<unknown[]> {
    const response = await this.call('bundles', protocolPaths.bundles(digest), {
      headers: { accept: 'application/json', ...this.credentials() },
      signal: withTimeout(signal, callTimeoutMs),
    });
    const answer = (await readJson(response)) as { items?: unknown } | null;
    if (!Array.isArray(answer?.items)) throw new Error('bundles: the answer has no items');
    return answer.items as unknown[];
  }

  private credentials(): Record<string, string> {
    return {
      'x-hotswap-boot': this.identity.bootId,
      ...(this.identity.secret ? { authorization: `Bearer ${this.identity.secret}` } : {}),
    };
  }

  private async call(name: string, path: string, init: RequestInit): Promise<Response> {
    // A redirect would carry the node's secret to whoever it names.
    const response = await fetch(this.url + path, { ...init, redirect: 'error' }).catch((error: Error) => {
      throw new Error(`${name}: ${reasonOf(error)}`, { cause: error });
    });
    if (response.ok) return response;
    const problem = (await readJson(response).catch(() => null)) as { code?: unknown } | null;
    throw new ControlPlaneError(name, response.status, typeof problem?.code === 'string' ? problem.code : null);
  }
}

function withTimeout(signal: AbortSignal, milliseconds: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
}

// fetch says only "fetch failed"; what happened is in its cause.
function reasonOf(error: Error): string {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause ? cause.message || cause.code || error.message : error.message;
}

async function readJson(response: Response): Promise<unknown> {
  return JSON.parse(Buffer.from(await readBytes(response, answerBytesMax)).toString('utf8'));
}

async function readBytes(response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > bytesMax) throw new Error(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
