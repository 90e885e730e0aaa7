import { Agent, request } from 'node:http';

/** Clients that ask one after the other on kept-alive connections, as a balancer does, and count what they get. */
export class LoadClient {
  readonly answers = new Map<string, number>();
  readonly problems: string[] = [];
  private readonly agent = new Agent({ keepAlive: true });
  private readonly running: Promise<void>[] = [];
  private stopped = false;

  constructor(
    private readonly url: string,
    clientCount: number,
  ) {
    for (let client = 0; client < clientCount; client++) this.running.push(this.ask());
  }

  get answerCount(): number {
    return [...this.answers.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when every request has been answered or has failed. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running);
    this.agent.destroy();
  }

  private async ask(): Promise<void> {
    while (!this.stopped) {
      try {
        const { status, release } = await this.once();
        if (status !== 200) this.problems.push(`status ${status}`);
        this.answers.set(release, (this.answers.get(release) ?? 0) + 1);
      } catch (error) {
        this.problems.push(String(error));
      }
    }
  }

  private once(): Promise<{ status: number | undefined; release: string }> {
    return new Promise((resolve, reject) => {
      const call = request(this.url, { agent: this.agent }, (response) => {
        response.on('error', reject).on('end', () => {
          resolve({ status: response.statusCode, release: String(response.headers['x-hotswap-module']) });
        });
        response.resume();
      });
      call.on('error', reject).end();
    });
  }
}
