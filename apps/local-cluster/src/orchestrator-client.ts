import type { EnvironmentName } from '@hotswap/agent-protocol';

const answerSeconds = 15;

/** As in the REST contract, as far as it is used here. */
export interface ClusterSummary {
  environment: EnvironmentName;
  status: string;
  nodeCounts: { total: number; healthy: number; unhealthy: number };
  modules: { name: string; version: string | null; activeDeployment: unknown }[];
}
export interface Deployment {
  id: string;
  moduleName: string;
  version: string;
  status: string;
  finishedAt: string | null;
  reason: { message?: string } | null;
}

/** An answer that was not expected; the message has the problem's own words. */
export class UnexpectedAnswerError extends Error {
  override readonly name = 'UnexpectedAnswerError';

  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
  ) {
    super(message);
  }
}

/** The launcher's own calls to the API; every one has a deadline and ends with `abort`. */
export class OrchestratorClient {
  constructor(
    readonly url: string,
    private readonly apiToken: string | null,
    private readonly abort: AbortSignal,
  ) {}

  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/health/ready`, { signal: this.deadline(5) });
      await response.body?.cancel();
      return response.status === 200;
    } catch {
      return false;
    }
  }

  async clusters(): Promise<ClusterSummary[]> {
    return (await this.json<{ items: ClusterSummary[] }>('GET', '/clusters')).body.items;
  }

  async policy(environment: EnvironmentName): Promise<{ etag: string | null; policy: Record<string, unknown> }> {
    const { headers, body } = await this.json<Record<string, unknown>>('GET', `/clusters/${environment}/policy`);
    return { etag: headers.get('etag'), policy: body };
  }

  async replacePolicy(environment: EnvironmentName, policy: Record<string, unknown>, etag: string): Promise<void> {
    await this.json('PUT', `/clusters/${environment}/policy`, policy, { 'if-match': etag });
  }

  async publish(fileName: string, artifact: Uint8Array, bundle: string): Promise<'published' | 'known'> {
    const form = new FormData();
    form.append('artifact', new Blob([new Uint8Array(artifact)], { type: 'application/gzip' }), fileName);
    form.append('bundle', new Blob([bundle], { type: 'application/json' }), `${fileName}.sigstore.json`);
    const { status } = await this.call('POST', '/modules', form, {});
    return status === 201 ? 'published' : 'known';
  }

  async deploy(request: Record<string, unknown>, idempotencyKey: string): Promise<Deployment> {
    return (await this.json<Deployment>('POST', '/deployments', request, { 'idempotency-key': idempotencyKey })).body;
  }

  async deployment(id: string): Promise<Deployment> {
    return (await this.json<Deployment>('GET', `/deployments/${encodeURIComponent(id)}`)).body;
  }

  private async json<Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ headers: Headers; body: Body }> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const contentType: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await this.call(method, path, content, { ...headers, ...contentType });
    return { headers: response.headers, body: (await response.json()) as Body };
  }

  private async call(
    method: string,
    path: string,
    body: RequestInit['body'],
    headers: Record<string, string>,
  ): Promise<Response> {
    const authorization: Record<string, string> =
      this.apiToken === null ? {} : { authorization: `Bearer ${this.apiToken}` };
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      body,
      headers: { accept: 'application/json', ...authorization, ...headers },
      redirect: 'error',
      signal: this.deadline(answerSeconds),
    });
    if (response.ok) return response;
    const problem = (await response.json().catch(() => null)) as {
      code?: string;
      title?: string;
      detail?: string;
    } | null;
    throw new UnexpectedAnswerError(
      response.status,
      problem?.code ?? null,
      `${method} ${path} was answered ${response.status} ${problem?.code ?? ''}: ${problem?.detail ?? problem?.title ?? 'no detail'}`,
    );
  }

  private deadline(seconds: number): AbortSignal {
    return AbortSignal.any([this.abort, AbortSignal.timeout(seconds * 1000)]);
  }
}
