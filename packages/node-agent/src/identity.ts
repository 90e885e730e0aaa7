import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentName } from '@hotswap/agent-protocol';
import { writeFileAtomically } from './write-file-atomically.js';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The node of this directory was taken out of its cluster. */
export class DecommissionedError extends Error {}

/**
 * Who this node is: an id that lives as long as its directory, a boot id that lives as long as this process and begins with the number of its start, and
 * the secret the control plane gave it (file mode 0600).
 */
export class Identity {
  private constructor(
    readonly nodeId: string,
    readonly bootId: string,
    private readonly environment: EnvironmentName,
    private readonly file: string,
    private readonly secretFile: string,
    private heldSecret: string | null,
  ) {}

  /**
   * Reads the identity kept in `directory`, or makes a new one. Throws where the directory is another environment's or damaged, and a
   * DecommissionedError where its node was decommissioned.
   */
  static async load(directory: string, environment: EnvironmentName): Promise<Identity> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = join(directory, 'node.json');
    const secretFile = join(directory, 'node-secret');
    const bootId = `${await countBoot(join(directory, 'boots'))}.${randomUUID()}`;
    const kept = await readIfPresent(file);
    if (kept === null) {
      const nodeId = randomUUID();
      await writeFileAtomically(file, `${JSON.stringify({ nodeId, environment })}\n`);
      return new Identity(nodeId, bootId, environment, file, secretFile, null);
    }
    const identity = parseIdentity(kept, file);
    if (identity.environment !== environment)
      throw new Error(
        `${directory} belongs to a node of ${identity.environment}, but HOTSWAP_ENVIRONMENT is ${environment}: give this node another HOTSWAP_NODE_DIR`,
      );
    if (identity.decommissionedAt !== null)
      throw new DecommissionedError(
        `this node was decommissioned at ${identity.decommissionedAt}: empty ${directory} to have it join as a new one`,
      );
    const secret = await readIfPresent(secretFile);
    return new Identity(identity.nodeId, bootId, environment, file, secretFile, secret?.trim() || null);
  }

  /** Bearer token of this node; null before its first join. */
  get secret(): string | null {
    return this.heldSecret;
  }

  async keepSecret(secret: string): Promise<void> {
    if (secret === this.heldSecret) return;
    // Held even where it can't be written: the control plane knows no other from now on.
    this.heldSecret = secret;
    await writeFileAtomically(this.secretFile, `${secret}\n`, 0o600);
  }

  /** A later process of this directory does not serve what an earlier one kept, nor ask again. */
  async keepDecommissioned(): Promise<void> {
    const { nodeId, environment } = this;
    const decommissionedAt = new Date().toISOString();
    await writeFileAtomically(this.file, `${JSON.stringify({ nodeId, environment, decommissionedAt })}\n`);
  }
}

interface KeptIdentity {
  nodeId: string;
  environment: string;
  decommissionedAt: string | null;
}

function parseIdentity(text: string, file: string): KeptIdentity {
  try {
    const { nodeId, environment, decommissionedAt = null } = JSON.parse(text) as Record<string, unknown>;
    const isKnown = typeof nodeId === 'string' && uuid.test(nodeId) && typeof environment === 'string';
    if (isKnown && (decommissionedAt === null || typeof decommissionedAt === 'string'))
      return { nodeId, environment, decommissionedAt };
  } catch {
    // Told below, with the file's name.
  }
  throw new Error(`${file} is damaged: restore it, or remove it to let this node join as a new one`);
}

/** The number of this start. A disk without room must not keep a node from starting: the next start then has the same number. */
async function countBoot(file: string): Promise<number> {
  const number = Math.max(0, Math.trunc(Number(await readIfPresent(file))) || 0) + 1;
  await writeFileAtomically(file, `${number}\n`).catch(() => undefined);
  return number;
}

async function readIfPresent(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
