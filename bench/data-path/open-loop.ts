import { Agent, get } from 'node:http';

/** Latencies in ms, from when a request was planned to be sent until its answer is there. */
export interface OpenLoopResult {
  milliseconds: number[];
  failures: number;
}

/**
 * Sends GETs at times that are fixed in advance, to one path after the other, each on a connection that is free. What has to wait for those before it, here or
 * in the server, is not sent less often for that: the wait is part of its latency.
 */
export async function openLoop(
  port: number,
  paths: readonly string[],
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<OpenLoopResult> {
  const agent = new Agent({ keepAlive: true });
  const result: OpenLoopResult = { milliseconds: [], failures: 0 };
  const startAt = performance.now() + 10;
  const answers: Promise<void>[] = [];
  const count = perSecond * seconds;
  while (answers.length < count) {
    const plannedAt = startAt + (answers.length * 1000) / perSecond;
    const wait = plannedAt - performance.now();
    if (wait > 0) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      continue;
    }
    const path = paths[answers.length % paths.length]!;
    answers.push(
      ask(agent, port, path).then(
        () => void result.milliseconds.push(performance.now() - plannedAt),
        () => void result.failures++,
      ),
    );
  }
  await Promise.all(answers);
  agent.destroy();
  return result;
}

function ask(agent: Agent, port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ agent, host: '127.0.0.1', port, path, timeout: 10_000 }, (response) => {
      response.resume().on('error', reject);
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}`))));
    });
    request.on('timeout', () => request.destroy(new Error('no answer'))).on('error', reject);
  });
}
