import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, type ProcessIdentity } from './process-identity.js';

/** Signals to end a process with, each with the time it gets before the next. */
export type EndSteps = readonly { signal: NodeJS.Signals; waitSeconds: number }[];

const pollMilliseconds = 25;
const hurriedSeconds = 0.5;

/**
 * Sends the steps' signals in turn until the process is gone, and answers whether it is. Once `hurry` is aborted every
 * step but the last gets half a second. SIGKILL goes to the whole group of a group leader, so that nothing it started
 * is left; no signal is ever sent to another process that has got the pid since.
 */
export async function endProcess(identity: ProcessIdentity, steps: EndSteps, hurry?: AbortSignal): Promise<boolean> {
  for (const [index, step] of steps.entries()) {
    if (!isRunning(identity)) return true;
    send(identity.pid, step.signal);
    const begun = performance.now();
    const hurries = () => hurry?.aborted === true && index < steps.length - 1;
    while (performance.now() - begun < (hurries() ? hurriedSeconds : step.waitSeconds) * 1000) {
      if (!isRunning(identity)) return true;
      await delay(pollMilliseconds);
    }
  }
  return !isRunning(identity);
}

function send(pid: number, signal: NodeJS.Signals): void {
  if (signal === 'SIGKILL' && kill(-pid, signal)) return;
  kill(pid, signal);
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    // Gone in the meantime, or (for a group) not the leader of one.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
