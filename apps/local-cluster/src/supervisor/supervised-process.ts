import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Logger } from 'pino';
import { endProcess, type EndSteps } from './end-process.js';
import { LogFile } from './log-file.js';
import { readPidFile, removePidFile, writePidFile } from './pid-file.js';
import { identifyProcess, isRunning, type ProcessIdentity } from './process-identity.js';

/** What to run and how to end it. */
export interface ProcessPlan {
  /** As in `kernel-node-qa-1`: names the log and the pid file as well. */
  name: string;
  command: string;
  arguments: string[];
  variables: NodeJS.ProcessEnv;
  workingDirectory: string;
  /** Run as this user (only root may ask for that); null: as the launcher's own. */
  user: { uid: number; gid: number } | null;
  logFile: string;
  pidFile: string;
  endSteps: EndSteps;
  /** What of the output a person at the terminal should see; null: nothing of this line. */
  surface: (line: string) => { level: 'warn' | 'error'; message: string } | null;
  /** Asked after an end with code 0: why it is not to be started again; null, or left out: it is. */
  isOver?: () => string | null;
}

const backoffFirstSeconds = 0.25;
const backoffMaxSeconds = 10;
/** A process that ran this long had a good start: the next restart is quick again. */
const settledSeconds = 30;
const shownCharactersMax = 300;

/**
 * One child process kept running: an end that nobody asked for is followed by a restart, at once after a good run, ever
 * slower (0.25 s doubling to 10 s) when it keeps ending. The child leads a process group of its own, so that Ctrl-C in the
 * terminal reaches the launcher alone, and it outlives a launcher that is killed: the next start ends it by its pid file.
 */
export class SupervisedProcess {
  private child: ChildProcess | null = null;
  private identity: ProcessIdentity | null = null;
  private restartTimer: NodeJS.Timeout | null = null;
  private ending = false;
  private quickEnds = 0;
  private readonly log: Logger;
  private readonly output: LogFile;

  constructor(
    readonly plan: ProcessPlan,
    log: Logger,
  ) {
    this.log = log.child({ process: plan.name });
    this.output = new LogFile(plan.logFile);
  }

  /** null while it is not running. */
  get pid(): number | null {
    return this.identity?.pid ?? null;
  }

  /** How often in a row it has ended soon after its start. */
  get failedStarts(): number {
    return this.quickEnds;
  }

  start(): void {
    this.ending = false;
    this.output.follow((line) => this.surface(line));
    this.launch();
  }

  /** Ends it for good; a restart that is due is dropped. Answers once it is gone. */
  async end(hurry?: AbortSignal): Promise<void> {
    this.ending = true;
    if (this.restartTimer !== null) clearTimeout(this.restartTimer);
    const { child, identity } = this;
    if (identity !== null && !(await endProcess(identity, this.plan.endSteps, hurry))) {
      this.log.error(`pid ${identity.pid} does not end, not even by SIGKILL; the next start tries again`);
    } else {
      // Ended but not yet waited for, it keeps its pid as a zombie; a launcher that exits now would leave it to init.
      if (child !== null && this.child === child) await once(child, 'exit');
      removePidFile(this.plan.pidFile);
    }
    this.output.end(() => undefined);
  }

  private launch(): void {
    const { plan } = this;
    const output = this.output.open();
    const startedAt = performance.now();
    try {
      this.child = spawn(plan.command, plan.arguments, {
        cwd: plan.workingDirectory,
        env: plan.variables,
        stdio: ['ignore', output, output],
        detached: true,
        ...plan.user,
      });
    } finally {
      closeSync(output);
    }
    const child = this.child;
    const ended = (how: string, code: number | null) => {
      if (this.child !== child) return;
      this.child = null;
      this.identity = null;
      if (this.ending) return;
      const because = code === 0 ? (plan.isOver?.() ?? null) : null;
      if (because === null) this.restartAfter(how, (performance.now() - startedAt) / 1000);
      else this.leaveEnded(because);
    };
    child.once('error', (error) => ended(`could not be started: ${error.message}`, null));
    child.once('exit', (code, signal) => ended(`ended unasked ${signal ? `by ${signal}` : `with code ${code}`}`, code));
    // Nothing here waits for the child's descriptors or keeps the launcher alive for it: ending is explicit.
    if (child.pid === undefined) return;
    this.identity = identifyProcess(child.pid);
    if (this.identity !== null) writePidFile(plan.pidFile, this.identity);
    this.log.debug(`started, pid ${child.pid}`);
  }

  private leaveEnded(because: string): void {
    removePidFile(this.plan.pidFile);
    this.log.warn(`${because}; it is not started again`);
  }

  private restartAfter(how: string, ranSeconds: number): void {
    this.quickEnds = ranSeconds >= settledSeconds ? 0 : this.quickEnds + 1;
    const waitSeconds =
      this.quickEnds === 0 ? 0 : Math.min(backoffMaxSeconds, backoffFirstSeconds * 2 ** (this.quickEnds - 1));
    const lastLines = this.output.lastLines(5).map((line) => line.slice(0, shownCharactersMax));
    this.log.warn(
      { lastLines },
      `${how} after ${ranSeconds.toFixed(1)} s; starting again in ${waitSeconds} s; its output is in ${this.plan.logFile}`,
    );
    this.restartTimer = setTimeout(() => this.launch(), waitSeconds * 1000);
  }

  private surface(line: string): void {
    if (this.ending) return;
    const shown = this.plan.surface(line);
    if (shown !== null) this.log[shown.level](shown.message);
  }
}

/**
 * Ends the process that a pid file of an earlier launcher names, when it still is that process, and removes the file.
 * @throws Error when it can't be ended
 */
export async function endLeftover(pidFile: string, name: string, steps: EndSteps, log: Logger): Promise<void> {
  const identity = readPidFile(pidFile);
  if (identity !== null && isRunning(identity)) {
    log.info(`ending ${name}, pid ${identity.pid}, left over from an earlier start`);
    if (!(await endProcess(identity, steps))) {
      throw new Error(`${name} from an earlier start, pid ${identity.pid}, does not end. End it, then start again.`);
    }
  }
  removePidFile(pidFile);
}
