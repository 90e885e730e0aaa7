const answerMilliseconds = 15_000;

export interface NodeNow {
  id: string;
  address: string;
  state: string;
  modules: { name: string; activeVersion: string | null; candidateVersion: string | null; candidatePercent: number }[];
}

export interface DeploymentNow {
  id: string;
  version: string;
  status: string;
  reason: { message: string };
}

export interface StandingNow {
  E: number;
  proof: { errors: number; latency: number };
}

export interface MeasuresNow {
  modules: { name: string; version: string; requests: number; failures: number; latencyMs: { p95: number | null } }[];
}

/** What the demo asks of the control plane. Every call ends within 15 s or throws. */
export class ControlPlane {
  constructor(private readonly url: string) {}

  async nodes(environment: string): Promise<NodeNow[]> {
    return (await this.get<{ nodes: NodeNow[] }>(`/clusters/${environment}`)).nodes;
  }

  measures(environment: string, moduleName: string, seconds: number): Promise<MeasuresNow> {
    const from = new Date(Date.now() - seconds * 1000).toISOString();
    return this.get(`/clusters/${environment}/metrics?moduleName=${moduleName}&from=${from}`);
  }

  deployment(id: string): Promise<DeploymentNow> {
    return this.get(`/deployments/${id}`);
  }

  /** The newest look of the deployment's analysis; null before there is one. */
  async standing(id: string): Promise<StandingNow | null> {
    const { items } = await this.get<{ items: { standing: StandingNow | null }[] }>(`/deployments/${id}/analysis`);
    return items.at(-1)?.standing ?? null;
  }

  async deploy(moduleName: string, version: string): Promise<string> {
    const wish = { moduleName, version, targetEnvironment: 'Production', requesterEmail: 'demo@example.com' };
    return (await this.call<{ id: string }>('POST', '/deployments', wish)).id;
  }

  /** Lays the changes over the environment's canary policy. */
  async changeCanary(environment: string, changes: object): Promise<void> {
    const path = `/clusters/${environment}/policy`;
    const policy = await this.get<{ canary: object }>(path);
    await this.call('PUT', path, { ...policy, canary: { ...policy.canary, ...changes } }, { 'if-match': '*' });
  }

  private get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  private async call<T>(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      body: body && JSON.stringify(body),
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      signal: AbortSignal.timeout(answerMilliseconds),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }
}
