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
  clientCpuSeconds: number;
}

/** One for all: what is read is looked at before anything else is read. */
const received = Buffer.alloc(64 * 1024);

/** Keep-alive connections that each send the next request when they have the answer: sockets and as little else as possible, so that the client costs little. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
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
  const { user, system } = process.cpuUsage(cpuBefore);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  const clientCpuSeconds = (user + system) / 1e6;
  return { requests: latencies.length, failures, seconds, p50: at(0.5), p99: at(0.99), clientCpuSeconds };
}

class Connection {
  readonly finished: Promise<void>;
  #finish!: () => void;
  readonly #request: Buffer;
  readonly #socket: Socket;
  #text = '';
  /** Length of the last answer. The next one is as long, most of the time, and need not be looked at then. */
  #answerBytes = 0;
  #sentAt = 0;
  #over = false;

  constructor(
    private readonly options: LoadOptions,
    private readonly until: number,
    private readonly onAnswer: (milliseconds: number, ok: boolean) => void,
  ) {
    const { port, path, bodyBytes } = options;
    const head = [
      `${bodyBytes > 0 ? 'POST' : 'GET'} ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      'user-agent: bench',
      'accept: application/json',
      ...(bodyBytes > 0 ? ['content-type: application/octet-stream', `content-length: ${bodyBytes}`] : []),
    ].join('\r\n');
    this.#request = Buffer.from(`${head}\r\n\r\n${'x'.repeat(bodyBytes)}`);
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    const onread = { buffer: received, callback: (bytes: number) => this.#receive(bytes) };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => this.#send());
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

  #receive(bytes: number): boolean {
    if (this.#text === '' && bytes === this.#answerBytes) this.#answered(received.toString('latin1', 0, 12));
    else {
      this.#text += received.toString('latin1', 0, bytes);
      if (!isWhole(this.#text)) return true;
      this.#answerBytes = this.#text.length;
      this.#answered(this.#text);
      this.#text = '';
    }
    return true;
  }

  #answered(start: string): void {
    const now = performance.now();
    this.onAnswer(now - this.#sentAt, start.startsWith('HTTP/1.1 200'));
    if (now >= this.until) {
      this.#over = true;
      this.#socket.end();
    } else if (this.options.paceMilliseconds === 0) this.#send();
    else setTimeout(() => this.#send(), Math.max(0, this.#sentAt + this.options.paceMilliseconds - now));
  }
}

/** Of a connection that asks for one at a time, an answer is whole or the beginning of one. */
function isWhole(text: string): boolean {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head + 2));
  return length === null ? text.endsWith('0\r\n\r\n') : text.length >= head + 4 + Number(length[1]);
}
