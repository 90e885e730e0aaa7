import type { EnvironmentName } from '@hotswap/agent-protocol';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names the files of one local cluster; the only place that knows them. */
export class DataDirectory {
  constructor(readonly path: string) {}

  /** Makes the folders; the private ones enterable by their owner alone. */
  create(): void {
    for (const folder of ['run', 'log', 'nodes', 'trust', 'orchestrator-api']) {
      mkdirSync(join(this.path, folder), { recursive: true });
    }
    for (const folder of ['keys', 'secrets']) mkdirSync(join(this.path, folder), { recursive: true, mode: 0o700 });
  }

  get postgres(): string {
    return join(this.path, 'postgres');
  }
  get runFolder(): string {
    return join(this.path, 'run');
  }
  get logFolder(): string {
    return join(this.path, 'log');
  }
  get lockFile(): string {
    return join(this.runFolder, 'local-cluster.lock');
  }
  get joinTokenFile(): string {
    return join(this.path, 'keys', 'join-token');
  }
  get signingKeyFile(): string {
    return join(this.path, 'keys', 'local-examples.pem');
  }
  get orchestratorFolder(): string {
    return join(this.path, 'orchestrator-api');
  }

  /** Whom `app` trusts: a file of its own for the orchestrator, one for the nodes of this machine. */
  trustFile(app: 'orchestrator-api' | 'kernel-node'): string {
    return join(this.path, 'trust', `${app}.json`);
  }
  pidFile(processName: string): string {
    return join(this.runFolder, `${processName}.pid`);
  }
  logFile(processName: string): string {
    return join(this.logFolder, `${processName}.log`);
  }
  nodeFolder(processName: string): string {
    return join(this.path, 'nodes', processName.replace(/^kernel-node-/, ''));
  }
  secretsFolder(environment: EnvironmentName): string {
    return join(this.path, 'secrets', environment.toLowerCase());
  }
}
