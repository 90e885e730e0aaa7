import { readConsole } from './console-lines.js';
import { InstanceLink } from './instance-link.js';
import type { ModuleLogEntry } from './module-log.js';
import type { Lodging } from './quarters.js';

export type Print = (level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string) => void;

/** An instance's own process (or thread), and the link to it. */
export class Residence {
  readonly link: InstanceLink;
  #endReason: string | null = null;
  #hasEnded = false;

  /**
   * @param print is given what it writes to its console.
   * @param onGone the link has ended, and with it the instance; with the reason where it broke the protocol, null otherwise. Not from within the constructor.
   */
  constructor(
    readonly lodging: Lodging,
    release: string,
    print: Print,
    onGone: (broken: string | null) => void,
  ) {
    const { output, wire, ended } = lodging.enclosure;
    readConsole(output, print);
    this.link = new InstanceLink(wire, release, onGone);
    void ended.then(() => (this.#hasEnded = true));
  }

  /** Null: it is a thread, or could not be started. */
  get pid(): number | null {
    return this.lodging.enclosure.pid;
  }

  /** The system has ended it; that comes after the link's end. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** At once. @param reason what it did, in words that follow its name. */
  kill(reason: string | null = null): void {
    if (reason !== null) this.#endReason = `${reason}, and was ended`;
    this.lodging.enclosure.kill();
  }

  /** Closes the link, which ends it. Answers as `ended`. */
  async end(): Promise<string> {
    const how = await this.lodging.enclosure.end();
    return this.#endReason ?? how;
  }

  /** How it ended, in words that follow its name, once it has. */
  async ended(): Promise<string> {
    const how = await this.lodging.enclosure.ended;
    return this.#endReason ?? how;
  }
}
