import { connect, type Socket } from 'node:net';
import { AnswerReader } from './answer-reader.js';

/** What a connection asks for, again and again. `close`: each time on a connection of its own. */
export const kinds = ['get', 'close', 'slow', 'post', 'stream'] as const;
export type Kind = (typeof kinds)[number];

const bodyBytes = 10_240;
const streamBytes = 65_536;

/** One request that is over. `problem`: why it has failed. */
export interface Outcome {
  kind: Kind;
  milliseconds: number;
  problem: string | null;
}

/** One client that sends the next request when it has the answer to the last, until it is stopped. */
export class SwapClient {
  readonly finished: Promise<void>;
  readonly #request: string;
  readonly #done = Promise.withResolvers<void>();
  #socket: Socket | null = null;
  #reader = new AnswerReader();
  #sentAt = 0;
  #isStopped = false;
  /** Nothing was asked on this connection yet. */
  #isFresh = true;

  constructor(
    private readonly target: {
      port: number;
      path: string;
      /** A server without such paths: any answer of it will do. */ isPlain: boolean;
    },
    readonly kind: Kind,
    private readonly onOutcome: (outcome: Outcome) => void,
  ) {
    this.finished = this.#done.promise;
    const path = `${target.path}${kind === 'slow' || kind === 'stream' ? kind : ''}`;
    const head = [
      `${kind === 'post' ? 'POST' : 'GET'} ${path} HTTP/1.1`,
      `host: 127.0.0.1:${target.port}`,
      ...(kind === 'close' ? ['connection: close'] : []),
      ...(kind === 'post' ? [`content-length: ${bodyBytes}`] : []),
    ].join('\r\n');
    this.#request = `${head}\r\n\r\n${kind === 'post' ? 'x'.repeat(bodyBytes) : ''}`;
    this.#connect();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #connect(): void {
    const socket = (this.#socket = connect(this.target.port, '127.0.0.1'));
    this.#reader = new AnswerReader();
    this.#isFresh = true;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => socket === this.#socket && this.#receive(text));
    let problem = 'closed';
    socket.on('error', (error: NodeJS.ErrnoException) => (problem = error.code ?? error.message));
    socket.on('close', () => socket === this.#socket && this.#fail(problem));
    this.#send();
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket!.write(this.#request);
  }

  #receive(text: string): void {
    const answer = this.#reader.push(text);
    if (answer === null) return;
    const { status, bytes, isLast } = answer;
    const isWhole = this.target.isPlain || this.kind !== 'stream' || bytes === streamBytes;
    this.#tell(status !== 200 ? `status ${status}` : isWhole ? null : `${bytes} bytes`);
    this.#isFresh = false;
    if (this.#isStopped) this.#end();
    else if (isLast || this.kind === 'close') this.#reconnect();
    else this.#send();
  }

  #fail(problem: string): void {
    this.#tell(
      `${problem}, ${this.#reader.isEmpty ? 'nothing' : 'a part'} answered on a ${this.#isFresh ? 'fresh' : 'kept'} connection`,
    );
    if (this.#isStopped) this.#end();
    // A server that is away must not be asked in a tight loop.
    else setTimeout(() => this.#reconnect(), 10);
  }

  #tell(problem: string | null): void {
    this.onOutcome({ kind: this.kind, milliseconds: performance.now() - this.#sentAt, problem });
  }

  #reconnect(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
    this.#connect();
  }

  #end(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.destroy();
    this.#done.resolve();
  }
}
