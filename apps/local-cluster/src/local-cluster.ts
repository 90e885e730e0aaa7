import { environments, type EnvironmentName } from '@hotswap/agent-protocol';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { formatBanner } from './banner.js';
import type { DataDirectory } from './data-directory.js';
import { endLeftovers } from './end-leftovers.js';
import { findExamplePackages } from './examples/example-packages.js';
import { exampleSigningKey, trustExamples } from './examples/example-trust.js';
import { deployExamples, publishExamples } from './examples/seed-examples.js';
import { type Deployment, OrchestratorClient } from './orchestrator-client.js';
import { writeLocalPolicy } from './policy/write-local-policy.js';
import { chooseFreePorts, requireFreePorts } from './ports.js';
import { requireDatabase } from './postgres/database-url.js';
import { EmbeddedPostgres } from './postgres/embedded-postgres.js';
import {
  examplesFolder,
  nodeNames,
  planNodes,
  planOrchestrator,
  planPostgres,
  reachableHost,
  type NodePlan,
} from './process-plans.js';
import { keptSecret } from './secret-file.js';
import type { Settings } from './settings.js';
import { SupervisedProcess, type ProcessPlan } from './supervisor/supervised-process.js';
import { watchClusters } from './watch-clusters.js';

const readyPollMilliseconds = 100;
const readyWarnSeconds = 60;
/** A process that can't even start the first time won't by trying on; later ends are always mended. */
const failedStartsMax = 4;

/** Postgres, the orchestrator and the nodes of one data directory, whose lock the caller holds. */
export class LocalCluster {
  private postgres: SupervisedProcess | null = null;
  private orchestrator: SupervisedProcess | null = null;
  private readonly nodes: SupervisedProcess[] = [];
  private readonly abort = new AbortController();
  private readonly apiUrl: string;
  private serving = false;

  constructor(
    private readonly settings: Settings,
    private readonly data: DataDirectory,
    private readonly log: Logger,
    private readonly print: (text: string) => void,
  ) {
    this.apiUrl = `http://${reachableHost(settings.host)}:${settings.port}`;
  }

  /**
   * Brings everything up, tells where it is, and seeds the examples; answers when the clusters are Healthy (or
   * have been watched for long enough).
   * @throws SettingsError when a port that was asked for is taken; Error when something can't be started; AbortError after end()
   */
  async start(): Promise<void> {
    const { settings, data, log, abort } = this;
    await endLeftovers(data, log);
    abort.signal.throwIfAborted();
    const nodePorts = await this.claimPorts();
    const database = await this.openDatabase(new Set([settings.port, ...nodePorts]));
    const signingKey = this.writeTrust();
    const joinToken = settings.joinToken ?? keptSecret(data.joinTokenFile, () => randomBytes(32).toString('base64url'));
    const premises = { settings, data, joinToken, databaseUrl: database.url, nodePorts };
    const nodePlans = planNodes(premises);
    this.orchestrator = this.launch(planOrchestrator(premises));
    // Nodes of an earlier start serve from their disks at once. The first time they come after what they are to run has been asked
    // for: otherwise their clusters would be Healthy with nothing on them.
    if (!database.fresh) this.launchNodes(nodePlans);

    const client = new OrchestratorClient(this.apiUrl, settings.apiToken, abort.signal);
    await this.waitUntilReady(client);
    this.serving = true;
    this.print(this.banner(database, nodePlans));
    if (database.embedded) await writeLocalPolicy(client, log, abort.signal);
    const deployed = signingKey === null ? [] : await this.seed(client, signingKey);
    if (database.fresh) this.launchNodes(nodePlans);
    await watchClusters(client, settings.nodeCounts, deployed, this.print, log, abort.signal);
  }

  /** Ends the nodes, then the orchestrator, then Postgres. `hurry` shortens the rest. */
  async end(hurry: AbortSignal): Promise<void> {
    this.abort.abort();
    await Promise.all(this.nodes.map((node) => node.end(hurry)));
    await this.orchestrator?.end(hurry);
    await this.postgres?.end(hurry);
  }

  private launchNodes(plans: readonly NodePlan[]): void {
    for (const { process } of plans) this.nodes.push(this.launch(this.quietUntilServing(process)));
  }

  private launch(plan: ProcessPlan): SupervisedProcess {
    // After end() nothing may come up any more.
    this.abort.signal.throwIfAborted();
    const process = new SupervisedProcess(plan, this.log);
    process.start();
    return process;
  }

  /** That the nodes can't reach an orchestrator that is still starting is no news. */
  private quietUntilServing(plan: ProcessPlan): ProcessPlan {
    return { ...plan, surface: (line) => (this.serving ? plan.surface(line) : null) };
  }

  private async claimPorts(): Promise<number[]> {
    const { host, port, nodePortBase } = this.settings;
    const count = nodeNames(this.settings).length;
    const asked = nodePortBase === 0 ? [] : Array.from({ length: count }, (_, index) => nodePortBase + index);
    await requireFreePorts([
      { name: 'PORT', host, port },
      ...asked.map((nodePort) => ({ name: 'HOTSWAP_NODE_PORT_BASE', host, port: nodePort })),
    ]);
    return nodePortBase === 0 ? chooseFreePorts(host, count, new Set([port])) : asked;
  }

  private async openDatabase(
    taken: ReadonlySet<number>,
  ): Promise<{ url: string; folder: string | null; embedded: boolean; fresh: boolean }> {
    const { settings, data, abort } = this;
    if (settings.databaseUrl !== null) {
      await requireDatabase(settings.databaseUrl);
      return { url: settings.databaseUrl, folder: null, embedded: false, fresh: false };
    }
    const postgres = await EmbeddedPostgres.prepare(data.postgres);
    if (postgres.fresh) this.log.info(`made a new database in ${postgres.dataFolder}`);
    const [port = 0] = await chooseFreePorts('127.0.0.1', 1, taken);
    this.postgres = this.launch(planPostgres(postgres, port, data));
    await postgres.waitUntilReady(port, abort.signal);
    return { url: postgres.url(port), folder: postgres.dataFolder, embedded: true, fresh: postgres.fresh };
  }

  /** The key that signs the examples, now trusted by the orchestrator and the nodes; null without examples. */
  private writeTrust(): string | null {
    const { settings, data } = this;
    const signingKey = settings.examples ? exampleSigningKey(data.signingKeyFile) : null;
    const names = new Set(settings.examples ? findExamplePackages(examplesFolder).map(({ name }) => name) : []);
    for (const app of ['orchestrator-api', 'kernel-node'] as const)
      trustExamples(data.trustFile(app), signingKey, [...names]);
    for (const environment of environments)
      mkdirSync(data.secretsFolder(environment), { recursive: true, mode: 0o700 });
    return signingKey;
  }

  private async seed(client: OrchestratorClient, signingKey: string): Promise<Deployment[]> {
    const { log, abort } = this;
    await publishExamples(client, findExamplePackages(examplesFolder), signingKey, log, abort.signal);
    return deployExamples(client, log, abort.signal);
  }

  private async waitUntilReady(client: OrchestratorClient): Promise<void> {
    const begun = performance.now();
    let warned = false;
    while (!(await client.isReady())) {
      this.abort.signal.throwIfAborted();
      const hopeless = [this.postgres, this.orchestrator].find(
        (process) => (process?.failedStarts ?? 0) > failedStartsMax,
      );
      if (hopeless)
        throw new Error(`${hopeless.plan.name} does not start; why is at the end of ${hopeless.plan.logFile}`);
      if (!warned && performance.now() - begun > readyWarnSeconds * 1000) {
        warned = true;
        this.log.warn(
          `the API is not ready after ${readyWarnSeconds} s; see ${this.data.logFile('orchestrator-api')}; still waiting`,
        );
      }
      await delay(readyPollMilliseconds, undefined, { signal: this.abort.signal });
    }
  }

  private banner(database: { url: string; folder: string | null }, nodePlans: readonly NodePlan[]): string {
    const addressesOf = (environment: EnvironmentName) =>
      nodePlans.filter((plan) => plan.environment === environment).map(({ address }) => address);
    return formatBanner({
      apiUrl: this.apiUrl,
      needsToken: this.settings.apiToken !== null,
      dataDirectory: this.data.path,
      logFolder: this.data.logFolder,
      databaseUrl: database.url,
      databaseFolder: database.folder,
      nodeAddresses: {
        Development: addressesOf('Development'),
        QA: addressesOf('QA'),
        Staging: addressesOf('Staging'),
        Production: addressesOf('Production'),
      },
      examples: this.settings.examples,
    });
  }
}
