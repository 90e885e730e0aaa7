import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeyPair } from '@hotswap/module-kit';
import { freePort } from '../../../tools/free-port.js';

export const trustedKey = generateKeyPair('payments-team');
export const otherKey = generateKeyPair('strangers');

export interface ControlPlane {
  url: string;
  process: ChildProcess;
  /** What it has written to stdout and stderr so far. */
  output: () => string;
  /** Its exit code, once it has ended and all its output was read. */
  exitCode: Promise<number | null>;
  /** Ends it by SIGTERM; answers its exit code. */
  end: () => Promise<number | null>;
}

/** The built process, started as users start it; not waited for. `stdout` is a file descriptor; without it the process' output is kept. */
export async function startControlPlane(
  variables: Record<string, string>,
  stdout: number | 'pipe' = 'pipe',
): Promise<ControlPlane> {
  const folder = mkdtempSync(join(tmpdir(), 'hotswap-control-plane-'));
  const trustFile = writeTrustFile(folder);
  const port = await freePort();
  const main = join(import.meta.dirname, '..', 'dist', 'main.js');
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], PORT: String(port), HOTSWAP_TRUST_FILE: trustFile, ...variables },
    stdio: ['ignore', stdout, 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exitCode = once(child, 'close').then(([code]) => {
    rmSync(folder, { recursive: true, force: true });
    return code as number | null;
  });
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    output: () => output,
    exitCode,
    end: () => {
      child.kill('SIGTERM');
      return exitCode;
    },
  };
}

/** Trusts `trustedKey` for modules named payment-…, everywhere. Answers the file's path. */
export function writeTrustFile(folder: string): string {
  const file = join(folder, 'trust.json');
  const keys = [{ id: trustedKey.id, publicKey: trustedKey.publicKeyPem }];
  const environments = ['Development', 'QA', 'Staging', 'Production'];
  const rules = [{ modules: 'payment-*', environments, keys: [trustedKey.id], signatures: 1 }];
  writeFileSync(file, JSON.stringify({ trust: 1, keys, rules }));
  return file;
}

/** Waits until `check` answers true; errors count as not yet. Ends before the tests do, since it can say what was there. */
export async function eventually(
  check: () => Promise<boolean>,
  what: () => string,
  milliseconds = 45_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    if (await check().catch(() => false)) return;
    if (Date.now() > deadline) throw new Error(`Not within ${milliseconds} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
