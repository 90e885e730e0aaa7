import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { LocalCluster } from './local-cluster.js';
import { recipeOf, type ProcessRecipe } from './process-recipe.js';
import { waitFor } from './wait-for.js';
import { lastWords, type FromOrchestrator, type ToOrchestrator } from './mortal-orders.js';

const entry = join(import.meta.dirname, 'mortal-orchestrator.ts');
const outputCharactersMax = 200_000;
const accidentCharactersMax = 2_000;
const startSeconds = 120;

/**
 * So many orchestrators in the place of the cluster's own, behind its address as behind a balancer. One that dies is replaced at once by one that
 * has been prepared: it has done nothing yet, but starting Node.js takes longer on a busy machine than is worth waiting for each time.
 */
export class MortalControlPlane {
  /** Commits since the last order, in order; not those that someone died of. */
  readonly points: string[] = [];
  /** The commits that those died of that died since. */
  readonly deaths: string[] = [];
  /** The last words of those that died of anything else. */
  readonly accidents: string[] = [];
  private readonly serving: MortalOrchestrator[] = [];
  private readonly spares: Promise<MortalOrchestrator>[] = [];
  private readonly fatalPoints = new Set<string>();
  private replacing: Promise<void> = Promise.resolve();
  private readonly balancer: Server;
  private turn = 0;
  private isEnding = false;

  private constructor(
    private readonly cluster: LocalCluster,
    private readonly recipe: ProcessRecipe,
  ) {
    this.balancer = createServer((socket) => this.pass(socket));
  }

  /** Takes the place of the cluster's orchestrator; its launcher stands still until `end`. */
  static async take(cluster: LocalCluster, replicas: number): Promise<MortalControlPlane> {
    const plane = new MortalControlPlane(cluster, recipeOf(cluster, 'orchestrator-api'));
    cluster.holdLauncher();
    try {
      await plane.haveSpares(replicas);
      cluster.kill('orchestrator-api');
      await waitFor('the address to be free', async () => {
        plane.balancer.listen(cluster.port, '127.0.0.1');
        await once(plane.balancer, 'listening');
        return true;
      });
      for (const spare of plane.spares.splice(0)) await plane.serve(await spare);
      return plane;
    } catch (error) {
      await plane.end();
      throw error;
    }
  }

  get output(): string {
    return this.serving.map(({ output }) => output).join('\n');
  }

  /** Each of these commits is the last of the orchestrator that makes it, from now on. Forgets what was before. */
  async dieAfter(points: readonly string[]): Promise<void> {
    await this.replacing;
    await this.haveSpares(points.length);
    this.fatalPoints.clear();
    for (const point of points) this.fatalPoints.add(point);
    await this.order();
    this.points.length = 0;
    this.deaths.length = 0;
    this.accidents.length = 0;
  }

  /** SIGKILL for one of them, and another one in its place. */
  async kill(): Promise<void> {
    await this.replacing;
    await this.haveSpares(1);
    await this.serving[0]?.end();
    await this.replacing;
  }

  /** Ends all of them; answers when the launcher's own is ready again. */
  async end(): Promise<void> {
    this.isEnding = true;
    await this.replacing;
    const spares = await Promise.all(this.spares.map((spare) => spare.catch(() => null)));
    await Promise.all([...this.serving, ...spares].map(async (orchestrator) => orchestrator?.end()));
    if (this.balancer.listening) {
      this.balancer.close();
      await once(this.balancer, 'close');
    }
    this.cluster.letLauncherGo();
    await waitFor("the launcher's orchestrator", async () => (await this.cluster.get('/health/ready')).status === 200);
  }

  private async haveSpares(count: number): Promise<void> {
    while (this.spares.length < count) this.spares.push(this.prepare());
    await Promise.all(this.spares);
  }

  private prepare(): Promise<MortalOrchestrator> {
    return MortalOrchestrator.prepare(this.recipe, (point) => this.points.push(point));
  }

  private async serve(orchestrator: MortalOrchestrator): Promise<void> {
    void orchestrator.ended.then(() => {
      this.replacing = this.replacing
        .then(() => this.replace(orchestrator))
        .catch((error: unknown) => void this.accidents.push(String(error)));
    });
    this.serving.push(orchestrator);
    await orchestrator.serve().catch((error: unknown) => {
      // It reconciles before it says that it serves: its first commit may have been its last.
      if (orchestrator.diedAfter === null) throw error;
    });
  }

  private async replace(dead: MortalOrchestrator): Promise<void> {
    if (this.isEnding) return;
    const point = dead.diedAfter;
    if (point === null) this.accidents.push(dead.output.slice(-accidentCharactersMax));
    else this.deaths.push(point);
    this.fatalPoints.delete(point ?? '');
    this.serving.splice(this.serving.indexOf(dead), 1);
    const successor = await (this.spares.shift() ?? this.prepare());
    await successor.dieAfter([...this.fatalPoints]);
    await this.serve(successor);
    await this.order();
  }

  /** One that is about to be replaced itself does not answer. */
  private async order(): Promise<void> {
    const points = [...this.fatalPoints];
    await Promise.all(this.serving.map((orchestrator) => orchestrator.dieAfter(points).catch(() => undefined)));
  }

  /** A connection goes to the next one that serves, and ends with it. */
  private pass(socket: Socket): void {
    const reachable = this.serving.filter(({ port }) => port > 0);
    const orchestrator = reachable[this.turn++ % reachable.length];
    socket.on('error', () => socket.destroy());
    if (!orchestrator) return void socket.destroy();
    const onward = connect(orchestrator.port, '127.0.0.1');
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  }
}

class MortalOrchestrator {
  readonly ended: Promise<unknown>;
  /** 0 until it serves. */
  port = 0;
  private said = '';

  private constructor(
    private readonly child: ChildProcess,
    onCommit: (point: string) => void,
  ) {
    // All that it said has been read by then.
    this.ended = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-outputCharactersMax);
      });
    }
    child.on('message', (message: FromOrchestrator) => {
      if (message.kind === 'committed') onCommit(message.point);
      if (message.kind === 'serving') this.port = message.port;
    });
  }

  static async prepare(recipe: ProcessRecipe, onCommit: (point: string) => void): Promise<MortalOrchestrator> {
    const child = fork(entry, [], {
      cwd: recipe.workingDirectory,
      env: recipe.variables,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const orchestrator = new MortalOrchestrator(child, onCommit);
    try {
      await orchestrator.answer('prepared');
    } catch (error) {
      await orchestrator.end();
      throw error;
    }
    return orchestrator;
  }

  get output(): string {
    return this.said;
  }
  /** The commit; null: something else, or it lives. */
  get diedAfter(): string | null {
    // What it had logged before may come after it.
    const last = this.said.split('\n').find((line) => line.startsWith(lastWords));
    return last?.slice(lastWords.length) ?? null;
  }

  async serve(): Promise<void> {
    await this.ask({ kind: 'serve' }, 'serving');
  }

  async dieAfter(points: readonly string[]): Promise<void> {
    await this.ask({ kind: 'die-after', points }, 'ordered');
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private async ask(message: ToOrchestrator, answer: FromOrchestrator['kind']): Promise<void> {
    const answered = this.answer(answer);
    // One that has just died can't be told: that it ended is its answer.
    this.child.send(message, () => undefined);
    await answered;
  }

  private answer(kind: FromOrchestrator['kind']): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null) => {
        clearTimeout(timer);
        this.child.off('message', onMessage);
        if (error) reject(error);
        else resolve();
      };
      const fail = (what: string) => settle(new Error(`The orchestrator ${what} before it was ${kind}:\n${this.said}`));
      const timer = setTimeout(() => fail(`took over ${startSeconds} s`), startSeconds * 1000);
      const onMessage = (message: FromOrchestrator) => {
        if (message.kind === kind) settle(null);
      };
      this.child.on('message', onMessage);
      void this.ended.then(() => fail('ended'));
    });
  }
}
