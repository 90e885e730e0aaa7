import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { freePort, type LocalCluster } from './local-cluster.js';
import { recipeOf, type ProcessRecipe } from './process-recipe.js';
import { waitFor } from './wait-for.js';
import type { FromOrchestrator, ToOrchestrator } from './mortal-orders.js';

const entry = join(import.meta.dirname, 'mortal-orchestrator.ts');
const outputCharactersMax = 200_000;
const startSeconds = 60;

/**
 * So many orchestrators in the place of the cluster's own, behind its address as behind a balancer. One that dies is replaced at once by one that
 * has been prepared: nothing of it has run before, but starting Node.js takes longer on a busy machine than is worth waiting for each time.
 */
export class MortalControlPlane {
  readonly points: string[] = [];
  deaths = 0;
  private readonly serving: MortalOrchestrator[] = [];
  private spare: Promise<MortalOrchestrator> | null = null;
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
      const prepared = await Promise.all(Array.from({ length: replicas }, () => plane.prepare()));
      cluster.kill('orchestrator-api');
      await waitFor('the address to be free', async () => {
        plane.balancer.listen(cluster.port, '127.0.0.1');
        await once(plane.balancer, 'listening');
        return true;
      });
      await Promise.all(prepared.map((orchestrator) => plane.serve(orchestrator)));
      plane.spare = plane.prepare();
      return plane;
    } catch (error) {
      await plane.end();
      throw error;
    }
  }

  get output(): string {
    return this.serving.map(({ output }) => output).join('\n');
  }

  /** Which commit is the last of the orchestrator that makes it, from now on; null: of none. Forgets what was committed before. */
  async dieAfter(point: string | null): Promise<void> {
    // Whoever dies has to be replaced at once.
    await this.replacing;
    await this.spare;
    await Promise.all(this.serving.map((orchestrator) => orchestrator.dieAfter(point)));
    this.points.length = 0;
    this.deaths = 0;
  }

  /** SIGKILL for one of them, and another one in its place. */
  async kill(): Promise<void> {
    await this.replacing;
    await this.spare;
    await this.serving[0]?.end();
    await this.replacing;
  }

  /** Ends all of them; the launcher starts its own again. */
  async end(): Promise<void> {
    this.isEnding = true;
    const spare = await this.spare?.catch(() => null);
    await Promise.all([...this.serving, ...(spare ? [spare] : [])].map((orchestrator) => orchestrator.end()));
    if (this.balancer.listening) {
      this.balancer.close();
      await once(this.balancer, 'close');
    }
    this.cluster.letLauncherGo();
  }

  private prepare(): Promise<MortalOrchestrator> {
    return MortalOrchestrator.prepare(this.recipe, (point) => this.points.push(point));
  }

  private async serve(orchestrator: MortalOrchestrator): Promise<void> {
    void orchestrator.ended.then(() => (this.replacing = this.replace(orchestrator)));
    await orchestrator.serve();
    this.serving.push(orchestrator);
  }

  private async replace(dead: MortalOrchestrator): Promise<void> {
    if (this.isEnding) return;
    this.deaths++;
    this.serving.splice(this.serving.indexOf(dead), 1);
    const spare = await this.spare;
    if (spare) await this.serve(spare);
    this.spare = this.prepare();
  }

  /** A connection goes to the next one that serves, and ends with it. */
  private pass(socket: Socket): void {
    const orchestrator = this.serving[this.turn++ % this.serving.length];
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
  private said = '';

  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    onCommit: (point: string) => void,
  ) {
    this.ended = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-outputCharactersMax);
      });
    }
    child.on('message', (message: FromOrchestrator) => {
      if (message.kind === 'committed') onCommit(message.point);
    });
  }

  static async prepare(recipe: ProcessRecipe, onCommit: (point: string) => void): Promise<MortalOrchestrator> {
    const port = await freePort();
    const child = fork(entry, [], {
      cwd: recipe.workingDirectory,
      env: { ...recipe.variables, PORT: String(port) },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const orchestrator = new MortalOrchestrator(child, port, onCommit);
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

  async serve(): Promise<void> {
    await this.ask({ kind: 'serve' }, 'serving');
  }

  async dieAfter(point: string | null): Promise<void> {
    await this.ask({ kind: 'die-after', point }, 'ordered');
  }

  async end(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private async ask(message: ToOrchestrator, answer: FromOrchestrator['kind']): Promise<void> {
    const answered = this.answer(answer);
    this.child.send(message);
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
