import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  port: number;
  path: string;
  connections: number;
  seconds: number;
  /** Sent as a POST; 0: GET. */
  bodyBytes: number;
  /** Every so many milliseconds a connection sends its next request; 0: as soon as it has its answer. */
  paceMilliseconds: number;
}

export interface LoadResult {
  requests: number;
  failures: number;
  seconds: number;
  p50: number;
  p99: number;
}

/** Keep-alive connections that each send the next request when they have the answer: sockets and as little else as possible, so that the client costs little. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const startedAt = performance.now();
  const latencies: number[] = [];
  let failures = 0;
  const connections = Array.from(
    { length: options.connections },
    () =>
      new Connection(options, startedAt + options.seconds * 1000, (milliseconds, ok) => {
        latencies.push(milliseconds);
        if (!ok) failures++;
      }),
  );
  await Promise.all(connections.map((connection) => connection.finished));
  const seconds = (performance.now() - startedAt) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { requests: latencies.length, failures, seconds, p50: at(0.5), p99: at(0.99) };
}

class Connection {
  readonly finished: Promise<void>;
  #finish!: () => void;
  readonly #request: Buffer;
  readonly #socket: Socket;
  #text = '';
  #sentAt = 0;
  #over = false;

  constructor(
    private readonly options: LoadOptions,
    private readonly until: number,
    private readonly onAnswer: (milliseconds: number, ok: boolean) => void,
  ) {
    const { port, path, bodyBytes } = options;
    const body = Buffer.alloc(bodyBytes, 'x');
    const head = [
      `${bodyBytes > 0 ? 'POST' : 'GET'} ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      'user-agent: bench',
      'accept: application/json',
      ...(bodyBytes > 0 ? ['content-type: application/octet-stream', `content-length: ${bodyBytes}`] : []),
    ].join('\r\n');
    this.#request = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]);
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    this.#socket = connect(port, '127.0.0.1', () => this.#send());
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk.toString('latin1')));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      if (!this.#over) this.onAnswer(performance.now() - this.#sentAt, false);
      this.#finish();
    });
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket.write(this.#request);
  }

  #receive(text: string): void {
    this.#text += text;
    const end = answerEnd(this.#text);
    if (end < 0) return;
    const now = performance.now();
    this.onAnswer(now - this.#sentAt, this.#text.startsWith('HTTP/1.1 200'));
    this.#text = '';
    if (now >= this.until) {
      this.#over = true;
      this.#socket.end();
    } else if (this.options.paceMilliseconds === 0) this.#send();
    else setTimeout(() => this.#send(), Math.max(0, this.#sentAt + this.options.paceMilliseconds - now));
  }
}

/** Where the first answer ends; -1: not yet. */
function answerEnd(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return -1;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head + 2));
  if (length !== null) return text.length >= head + 4 + Number(length[1]) ? head + 4 + Number(length[1]) : -1;
  const last = text.indexOf('0\r\n\r\n', head + 4);
  return last < 0 ? -1 : last + 5;
}
