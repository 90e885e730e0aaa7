import { LoadError, messageOf } from './errors.js';
import type { Instance } from './instance.js';
import { CallError } from './instance-link.js';

/** The time that a module takes to hand state over; null: it declares none. */
export function handoverSecondsOf(instance: Instance): number | null {
  return instance.manifest.state?.handoverSeconds ?? null;
}

/**
 * Gives the state of one instance to another. First a rehearsal while everything goes on: what can't be restored is found without anybody having to wait.
 * Then requests are held, what is in flight ends, background work ends, and the state as it then is goes over. Answers its size in bytes.
 *
 * @throws LoadError of kind `activate`; nothing is lost then: the first has its state still, and may go on.
 */
export async function handOver(from: Instance, to: Instance, hold: () => void): Promise<number> {
  const seconds = handoverSecondsOf(to) ?? 0;
  try {
    await to.link.restore(await from.link.snapshot(seconds), seconds);
    hold();
    await from.standDown();
    if (from.isWorking) throw new CallError('its background work did not end.');
    const state = await lastStateOf(from, seconds);
    await to.link.restore(state, seconds);
    return state.length;
  } catch (error) {
    throw new LoadError('activate', `The state of ${from.name} could not be handed over: ${messageOf(error)}`);
  }
}

/** When nothing is in flight, nor given to `waitUntil`. @throws CallError when that takes longer, or its `snapshot` fails. */
async function lastStateOf(from: Instance, seconds: number): Promise<Buffer> {
  const until = performance.now() + seconds * 1000;
  const secondsLeft = () => Math.max(0.001, (until - performance.now()) / 1000);
  const { link } = from;
  const deadline = AbortSignal.timeout(Math.round(seconds * 1000));
  await link.idle(deadline);
  if (deadline.aborted) throw new CallError(`${link.exchanges.size} requests had not ended after ${seconds} s.`);
  await from.settle(secondsLeft());
  return link.snapshot(secondsLeft());
}
