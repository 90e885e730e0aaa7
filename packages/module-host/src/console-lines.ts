import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';
import type { ModuleLogEntry } from './module-log.js';

const lineLengthMax = 8 * 1024;
const linesPerSecondMax = 200;

/** Reads all that an instance prints. */
export function readConsole(
  { stdout, stderr }: { stdout: Readable; stderr: Readable },
  log: (level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], line: string) => void,
): void {
  const dropped = (count: number) =>
    log('warn', 'host', `${count} lines of output were left out: too many in a second.`);
  new ConsoleLines(stdout, (line) => log('info', 'module', line), dropped);
  new ConsoleLines(stderr, (line) => log('error', 'module', line), dropped);
}

/** Reads what a process prints, line by line; too much of it, and what is too long, is left out and said to be. The process is never held up. */
class ConsoleLines {
  #decoder = new StringDecoder('utf8');
  #line = '';
  #overlong = false;
  #windowStartedAt = 0;
  #inWindow = 0;
  #dropped = 0;

  /** @param onDropped so many lines were left out; told at the first line that is not, and at the end. */
  constructor(
    stream: Readable,
    private readonly onLine: (line: string) => void,
    private readonly onDropped: (count: number) => void,
  ) {
    stream.on('data', (chunk: Buffer) => this.#take(this.#decoder.write(chunk)));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      if (this.#line !== '') this.#emit();
      this.#tellDropped();
    });
  }

  #take(text: string): void {
    let from = 0;
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      this.#append(text.slice(from, to));
      this.#emit();
      from = to + 1;
    }
    this.#append(text.slice(from));
  }

  #append(text: string): void {
    const room = lineLengthMax - this.#line.length;
    if (text.length > room) this.#overlong = true;
    this.#line += text.slice(0, room);
  }

  #emit(): void {
    const line = this.#overlong ? `${this.#line}… (cut)` : this.#line.replace(/\r$/, '');
    this.#line = '';
    this.#overlong = false;
    const now = performance.now();
    if (now - this.#windowStartedAt >= 1000) {
      this.#windowStartedAt = now;
      this.#inWindow = 0;
      this.#tellDropped();
    }
    if (++this.#inWindow > linesPerSecondMax) this.#dropped++;
    else if (line !== '') this.onLine(line);
  }

  #tellDropped(): void {
    if (this.#dropped > 0) this.onDropped(this.#dropped);
    this.#dropped = 0;
  }
}
