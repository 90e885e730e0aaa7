import type { InstanceStatistics } from '../wire/messages.js';
import { EventLoopDelay } from './event-loop-delay.js';

type Usage = Omit<InstanceStatistics, 'eventLoopDelaySeconds'>;

/** To be called once; answers how to take them. */
export function statisticsWith(usage: () => Usage): () => InstanceStatistics {
  const eventLoopDelay = new EventLoopDelay();
  return () => ({ ...usage(), eventLoopDelaySeconds: eventLoopDelay.takeSeconds() });
}

export function processUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() };
}

/** Of this thread alone: resident memory is the whole process', so its heap and what hangs on it stand for it. */
export function threadUsage(): Usage {
  const { user, system } = process.threadCpuUsage();
  const { heapTotal, external } = process.memoryUsage();
  return { cpuSeconds: (user + system) / 1e6, rssBytes: heapTotal + external };
}
