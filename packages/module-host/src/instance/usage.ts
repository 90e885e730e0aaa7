/** CPU time since the start and memory now. */
export interface Usage {
  cpuSeconds: number;
  rssBytes: number;
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
