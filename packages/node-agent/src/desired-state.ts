import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { compareDocuments, type ModuleAssignment, type NodeDocument } from '@hotswap/agent-protocol';
import { parseDocument } from './parse-document.js';
import { writeFileAtomically } from './write-file-atomically.js';

/** `notKept`: why the accepted document could not be written to disk; it is in force all the same, so that a full disk never stops a rollback. */
export type Verdict =
  { kind: 'accepted'; notKept: string | null } | { kind: 'unchanged' } | { kind: 'refused'; because: string };

/**
 * What the orchestrator wants of this node, as far as the node accepts it: the newest document, kept on disk so that a restarted node
 * serves before the control plane answers, and the assignments in force. Those are the document's and, since a missing entry never unloads, the
 * earlier ones of modules that it does not mention.
 */
export class DesiredState {
  private refusal: string | null = null;
  private isDiverged = false;
  private judging: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly file: string,
    private document: NodeDocument | null,
    private inForce: ModuleAssignment[],
  ) {}

  /** Reads what an earlier process of this node accepted. A damaged file is reported by `onDamaged` and starts the node without one. */
  static async load(directory: string, onDamaged: (problem: string) => void): Promise<DesiredState> {
    const file = join(directory, 'document.json');
    try {
      const kept = JSON.parse(await readFile(file, 'utf8')) as { document: unknown; inForce: unknown };
      const document = parseDocument(kept.document);
      const { modules } = parseDocument({ epoch: 0, revision: 0, modules: kept.inForce });
      return new DesiredState(file, document, modules);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onDamaged(`${file}: ${(error as Error).message}`);
      return new DesiredState(file, null, []);
    }
  }

  /** (epoch, revision) of the document in force; null before the first. */
  get accepted(): { epoch: number; revision: number } | null {
    return this.document && { epoch: this.document.epoch, revision: this.document.revision };
  }

  /** Why the newest document that was offered is not in force; null where it is. */
  get refused(): string | null {
    return this.refusal;
  }

  /** The refused document has the number of the one in force, and other content: there are two histories of this node's documents. */
  get diverged(): boolean {
    return this.isDiverged;
  }

  /** Boot id of the process that is to leave its traffic; null: none. */
  get drainedBootId(): string | null {
    return this.document?.drainedBootId ?? null;
  }

  get assignments(): readonly ModuleAssignment[] {
    return this.inForce;
  }

  /**
   * Judges a document: a lower (epoch, revision) is refused, and so is an equal one with other content; a higher one is written to
   * disk, then in force. One at a time; never throws.
   */
  offer(value: unknown): Promise<Verdict> {
    const verdict = this.judging.then(() => this.judge(value));
    this.judging = verdict;
    return verdict;
  }

  private async judge(value: unknown): Promise<Verdict> {
    let offered: NodeDocument;
    try {
      offered = parseDocument(value);
    } catch (error) {
      return this.refuse(`the document is malformed: ${(error as Error).message}`);
    }
    const held = this.document;
    const order = held ? compareDocuments(offered, held) : 1;
    if (held && order < 0) return this.refuse(`${named(offered)} is older than ${named(held)}, which is in force`);
    if (held && order === 0) {
      if (!isDeepStrictEqual(offered, held)) {
        this.isDiverged = true;
        return this.refuse(`${named(offered)} has other content than the one of that number in force`);
      }
      this.clearRefusal();
      return { kind: 'unchanged' };
    }
    const inForce = combine(this.inForce, offered.modules);
    const notKept = await writeFileAtomically(this.file, JSON.stringify({ document: offered, inForce })).then(
      () => null,
      (error: Error) => error.message,
    );
    this.document = offered;
    this.inForce = inForce;
    this.clearRefusal();
    return { kind: 'accepted', notKept };
  }

  private clearRefusal(): void {
    this.refusal = null;
    this.isDiverged = false;
  }

  private refuse(because: string): Verdict {
    this.refusal = because;
    return { kind: 'refused', because };
  }
}

// A module asked to be absent stays listed while the document says so, and is forgotten with the next that does not mention it.
function combine(before: readonly ModuleAssignment[], document: readonly ModuleAssignment[]): ModuleAssignment[] {
  const mentioned = new Set(document.map((assignment) => assignment.module));
  return [...document, ...before.filter((each) => each.active !== null && !mentioned.has(each.module))];
}

function named({ epoch, revision }: NodeDocument): string {
  return `document ${epoch}.${revision}`;
}
