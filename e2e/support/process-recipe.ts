import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import type { LocalCluster } from './local-cluster.js';

const outputCharactersMax = 100_000;

/** How a process of the cluster was started: a test can start another like it, or the same again in the launcher's place. */
export interface ProcessRecipe {
  command: string;
  arguments: string[];
  workingDirectory: string;
  variables: NodeJS.ProcessEnv;
}

/** Of a process that is running, as Linux tells it. */
export function recipeOf(cluster: LocalCluster, name: string): ProcessRecipe {
  const folder = `/proc/${cluster.pid(name)}`;
  const words = (file: string) => readFileSync(`${folder}/${file}`, 'utf8').split('\0').filter(Boolean);
  const [command = '', ...rest] = words('cmdline');
  const variables = words('environ').map((word): [string, string] => {
    const end = word.indexOf('=');
    return [word.slice(0, end), word.slice(end + 1)];
  });
  return {
    command,
    arguments: rest,
    workingDirectory: readlinkSync(`${folder}/cwd`),
    variables: Object.fromEntries(variables),
  };
}

/** A process that the test itself started; nobody starts it again. */
export class RecipeProcess {
  private readonly child: ChildProcess;
  private said = '';

  constructor(recipe: ProcessRecipe, variables: NodeJS.ProcessEnv = {}) {
    this.child = spawn(recipe.command, recipe.arguments, {
      cwd: recipe.workingDirectory,
      env: { ...recipe.variables, ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said = (this.said + text).slice(-outputCharactersMax);
      });
    }
  }

  get output(): string {
    return this.said;
  }
  /** Null while it runs, and when a signal ended it. */
  get exitCode(): number | null {
    return this.child.exitCode;
  }
  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  send(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends the signal and waits for the end; one that has ended stays ended. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}
