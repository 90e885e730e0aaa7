import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { WakeUps } from '@hotswap/orchestrator';
import type { FastifyReply } from 'fastify';
import { Problem } from '../problem/problem.js';
import {
  beginStream,
  encodeEvent,
  pingMilliseconds,
  pingText,
  stuckMilliseconds,
  type ServerSentEvent,
} from './server-sent-event.js';

const streamCountMax = 500;
/** Wake-ups that come faster than this are answered together. */
const pauseMilliseconds = 50;

/** What a stream is to say: read again and again, until it is over. */
export interface EventSource {
  /** What has become new since the last call; `hasMore`: ask again at once, `isOver`: nothing will come any more. */
  read: () => Promise<{ events: ServerSentEvent[]; hasMore?: boolean; isOver?: boolean }>;
  /** Between reads, when nothing wakes it. */
  intervalMilliseconds: number;
  /** Whether a commit of any control plane may have brought something new. */
  isWoken: boolean;
}

interface Stream {
  response: ServerResponse;
  closed: AbortController;
  isNudged: boolean;
  resume: () => void;
}

/**
 * The open streams of this process for people and programs. They hold no state: each is read from the database, so a client that was cut off goes on at any
 * replica. A failing read is tried again; a shutdown ends them all.
 */
@Injectable()
export class EventStreams implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(EventStreams.name);
  private readonly streams = new Set<Stream>();
  private unsubscribe: () => void = () => undefined;
  private isClosed = false;

  constructor(private readonly wakeUps: WakeUps) {}

  onApplicationBootstrap(): void {
    this.unsubscribe = this.wakeUps.subscribe(() => {
      for (const stream of this.streams) nudge(stream);
    });
  }

  beforeApplicationShutdown(): void {
    this.isClosed = true;
    this.unsubscribe();
    for (const { closed } of this.streams) closed.abort();
  }

  get count(): number {
    return this.streams.size;
  }

  /** Answers with a stream of what the source says, until either side ends. Throws a Problem where there is no room for another. */
  open(reply: FastifyReply, source: EventSource): void {
    if (this.isClosed) throw new Problem('shutting-down', 'This process is shutting down; connect again');
    if (this.streams.size >= streamCountMax) {
      const detail = `This process has ${streamCountMax} event streams open; poll, or connect to another replica`;
      throw new Problem('too-many-streams', detail, { headers: { 'retry-after': '10' } });
    }
    const response = beginStream(reply);
    const stream: Stream = { response, closed: new AbortController(), isNudged: false, resume: () => undefined };
    this.streams.add(stream);
    response.on('close', () => stream.closed.abort());
    response.on('error', () => stream.closed.abort());
    const ping = setInterval(() => !response.writableNeedDrain && response.write(pingText), pingMilliseconds);
    void this.run(stream, source).finally(() => {
      clearInterval(ping);
      this.streams.delete(stream);
      response.end();
    });
  }

  private async run(stream: Stream, source: EventSource): Promise<void> {
    let hasFailed = false;
    while (!stream.closed.signal.aborted) {
      stream.isNudged = false;
      try {
        const { events, hasMore, isOver } = await source.read();
        hasFailed = false;
        if (!(await write(stream, events)) || isOver) return;
        if (hasMore) continue;
      } catch (error) {
        if (!hasFailed) this.logger.warn(`A stream could not be read, tried again: ${(error as Error).message}`);
        hasFailed = true;
      }
      await pause(stream, pauseMilliseconds);
      if (!(source.isWoken && stream.isNudged)) await pause(stream, source.intervalMilliseconds, source.isWoken);
    }
  }
}

/** False: the reader is gone, or takes nothing. */
async function write({ response, closed }: Stream, events: ServerSentEvent[]): Promise<boolean> {
  for (const event of events) {
    if (closed.signal.aborted) return false;
    if (response.write(encodeEvent(event))) continue;
    try {
      await once(response, 'drain', {
        signal: AbortSignal.any([closed.signal, AbortSignal.timeout(stuckMilliseconds)]),
      });
    } catch {
      response.destroy();
      return false;
    }
  }
  return true;
}

/** Until the time is over, the stream is closed, or (where asked for) nudged. */
function pause(stream: Stream, milliseconds: number, isWoken = false): Promise<void> {
  return new Promise((resolve) => {
    const { signal } = stream.closed;
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      stream.resume = () => undefined;
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
    if (isWoken) stream.resume = end;
    if (signal.aborted) end();
  });
}

function nudge(stream: Stream): void {
  stream.isNudged = true;
  stream.resume();
}
