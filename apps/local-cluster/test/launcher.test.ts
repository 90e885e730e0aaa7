import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { formatBanner } from '../src/banner.js';
import { formatPidFile } from '../src/supervisor/pid-file.js';
import { identifyProcess } from '../src/supervisor/process-identity.js';

const entry = join(import.meta.dirname, '..', 'dist', 'main.js');

describe('the launcher', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hotswap-launcher-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function run(variables: NodeJS.ProcessEnv): Promise<{ code: number; said: string }> {
    const child = spawn(process.execPath, [entry], {
      env: { PATH: process.env['PATH'], HOTSWAP_DATA_DIR: join(folder, 'data'), ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
    return { code, said };
  }

  it('lists every wrong setting and ends with 2, before it makes anything', async () => {
    const { code, said } = await run({ PORT: 'none', HOTSWAP_NODES_QA: '-1' });
    expect(code).toBe(2);
    expect(said).toMatch(/2 settings are wrong:\n {2}PORT: .*\n {2}HOTSWAP_NODES_QA: .*\n.*docs\/running\.md/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('ends with 2 when PORT is taken, and starts nothing', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { code, said } = await run({ PORT: String(port) });
    server.close();
    expect(code).toBe(2);
    expect(said).toContain(`PORT: port ${port} on 127.0.0.1 is in use by another process`);
    expect(readdirSync(join(folder, 'data', 'run'))).toEqual([]);
    expect(readdirSync(join(folder, 'data'))).not.toContain('postgres');
  });

  it('ends with 1 when another one lives on the data directory', async () => {
    const own = identifyProcess(process.pid);
    if (own === null) throw new Error('This process has no identity');
    mkdirSync(join(folder, 'data', 'run'), { recursive: true });
    writeFileSync(join(folder, 'data', 'run', 'local-cluster.lock'), formatPidFile(own));
    const { code, said } = await run({});
    expect(code).toBe(1);
    expect(said).toContain(`Another npm start, pid ${process.pid}, already runs on this data directory`);
  });

  it('tells of a database that it can’t reach, but not its password', async () => {
    const { code, said } = await run({ DATABASE_URL: 'postgres://someone:open-sesame@127.0.0.1:1/x' });
    expect(code).toBe(2);
    expect(said).toContain('DATABASE_URL: no connection to 127.0.0.1:1/x');
    expect(said).not.toContain('open-sesame');
  });
});

describe('formatBanner', () => {
  it('shows where everything is, without a password', () => {
    const banner = formatBanner({
      apiUrl: 'http://127.0.0.1:5000',
      needsToken: true,
      dataDirectory: '/data',
      logFolder: '/data/log',
      databaseUrl: 'postgres://hotswap:open-sesame@127.0.0.1:5432/hotswap?sslpassword=open-sesame',
      databaseFolder: null,
      nodeAddresses: {
        Development: ['http://127.0.0.1:7301'],
        QA: [],
        Staging: [],
        Production: ['http://127.0.0.1:7302'],
      },
      examples: true,
    });
    expect(banner).toContain('postgres://hotswap@127.0.0.1:5432/hotswap\n');
    expect(banner).not.toContain('open-sesame');
    expect(banner).toContain('curl http://127.0.0.1:7302/payment-processor/version');
    expect(banner).toContain('authorization: Bearer $HOTSWAP_API_TOKEN');
  });
});
