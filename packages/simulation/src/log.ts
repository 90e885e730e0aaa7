import { createHash } from 'node:crypto';

/** The story of one seed, line by line. */
export class Log {
  private readonly lines: string[] = [];

  constructor(private readonly now: () => number) {}

  write(who: string, what: string): void {
    this.lines.push(`${(this.now() / 1000).toFixed(3).padStart(9)} ${who.padEnd(14)} ${what}`);
  }

  get text(): string {
    return this.lines.join('\n');
  }

  get digest(): string {
    return createHash('sha256').update(this.text).digest('hex').slice(0, 16);
  }
}
