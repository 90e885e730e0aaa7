import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseTrust, readArtifact, verifySignatures } from '../src/index.js';
import { moduleSource, packageJson } from './module-fixture.js';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

let directory: string;
let server: Server | null = null;

/** Runs the built command as a process of its own, in the test's directory. */
function run(args: string[], environment: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [cli, ...args],
      { cwd: directory, env: { PATH: process.env['PATH'], ...environment } },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

interface Received {
  method: string | undefined;
  url: string | undefined;
  authorization: string | undefined;
  form: FormData;
}

/** A server that keeps what it received and gives the same answer to everything. */
async function receiver(status: number, answer: unknown): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  server = createServer((request, response) => {
    void (async () => {
      const chunks = (await request.toArray()) as Buffer[];
      const headers = { 'content-type': request.headers['content-type'] ?? '' };
      received.push({
        method: request.method,
        url: request.url,
        authorization: request.headers.authorization,
        form: await new Response(Buffer.concat(chunks), { headers }).formData(),
      });
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const published = {
  name: 'greeter',
  version: '1.2.3',
  digest: 'sha256:00',
  signers: ['team'],
  sizeBytes: 1,
  manifest: {},
};
const textOf = (part: unknown) => (part as Blob).text();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hotswap-cli-'));
  await mkdir(join(directory, 'module', 'dist'), { recursive: true });
  await writeFile(join(directory, 'module', 'package.json'), JSON.stringify(packageJson()));
  await writeFile(join(directory, 'module', 'dist', 'module.js'), moduleSource);
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = null;
  await rm(directory, { recursive: true });
});

describe('the way from a folder to a server', () => {
  it('packs, makes a key, signs and publishes', async () => {
    const { url, received } = await receiver(201, published);
    expect(await run(['pack', 'module'])).toMatchObject({ code: 0, stderr: '' });
    const key = await run(['keygen', '--id', 'team']);
    expect(key).toMatchObject({ code: 0, stderr: '' });
    expect(await run(['sign', 'greeter-1.2.3.tgz', '--key', 'team.pem'])).toMatchObject({ code: 0, stderr: '' });
    const bundleFile = 'greeter-1.2.3.tgz.sigstore.json';
    const arguments_ = ['publish', 'greeter-1.2.3.tgz', '--bundle', bundleFile, '--bundle', bundleFile, '--url', url];
    expect(await run(arguments_, { HOTSWAP_API_TOKEN: 'from-environment' })).toEqual({
      code: 0,
      stdout: 'Published greeter@1.2.3, sha256:00, signed by team\n',
      stderr: '',
    });

    const [request] = received;
    expect(request).toMatchObject({
      method: 'POST',
      url: '/api/v1/modules',
      authorization: 'Bearer from-environment',
    });
    const sent = request!.form.get('artifact') as Blob;
    const artifact = await readArtifact(Buffer.from(await sent.arrayBuffer()));
    const bundles = await Promise.all(
      request!.form.getAll('bundle').map(async (part) => JSON.parse(await textOf(part)) as unknown),
    );
    expect(bundles).toHaveLength(2);
    const entry: unknown = JSON.parse(/^ {2}(\{.*\})$/m.exec(key.stdout)![1]!);
    const trust = parseTrust({ trust: 1, keys: [entry], rules: [] });
    expect(verifySignatures(artifact, bundles, trust, new Date())).toEqual(['team']);
  });
});

describe('publish', () => {
  const args = (url: string) => ['publish', 'a.tgz', '--bundle', 'b.json', '--url', url];
  beforeEach(async () => {
    await writeFile(join(directory, 'a.tgz'), 'bytes');
    await writeFile(join(directory, 'b.json'), '{}');
  });

  it('prefers --token, keeps a path of the URL, and says when nothing was new', async () => {
    const { url, received } = await receiver(200, published);
    const outcome = await run([...args(`${url}/hotswap`), '--token', 'given'], { HOTSWAP_API_TOKEN: 'other' });
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringContaining('Already published: greeter@1.2.3') });
    expect(received[0]).toMatchObject({ url: '/hotswap/api/v1/modules', authorization: 'Bearer given' });
  });

  it('sends no token where there is none', async () => {
    const { url, received } = await receiver(200, published);
    expect((await run(args(url))).code).toBe(0);
    expect(received[0]?.authorization).toBeUndefined();
  });

  it('prints a problem readably, without control characters, and exits 1', async () => {
    const { url } = await receiver(422, {
      title: 'Unprocessable',
      status: 422,
      code: 'artifact-invalid',
      detail: 'The entry is \u001b[31mmissing.',
      errors: [{ pointer: '/hotswap/entry', message: 'is required' }],
    });
    expect(await run([...args(url), '--token', 'hidden-value'])).toEqual({
      code: 1,
      stdout: '',
      stderr: `${url}/api/v1/modules refused with 422 artifact-invalid.\n  The entry is ?[31mmissing.\n  /hotswap/entry: is required\n`,
    });
  });

  it('exits 1 on answers that make no sense', async () => {
    const { url } = await receiver(502, '<html>');
    expect(await run(args(url))).toMatchObject({ code: 1, stderr: `${url}/api/v1/modules refused with 502.\n` });
  });

  it('exits 1 on a success that names no module', async () => {
    const { url } = await receiver(200, {});
    expect(await run(args(url))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not with a published module'),
    });
  });

  it('exits 1 where nobody listens', async () => {
    const { url } = await receiver(200, published);
    server!.close();
    await once(server!, 'close');
    const { code, stderr } = await run(args(url));
    expect(code).toBe(1);
    expect(stderr).toContain(`${url}/api/v1/modules could not be reached: connect ECONNREFUSED`);
    expect(stderr).toContain('--url');
  });
});

describe('keygen', () => {
  it('writes the private key for its owner alone, and overwrites nothing', async () => {
    const { stdout } = await run(['keygen', '--out', 'my.key']);
    const written = await readFile(join(directory, 'my.key'), 'utf8');
    expect((await stat(join(directory, 'my.key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(directory, 'my.key.pub'), 'utf8')).toContain('BEGIN PUBLIC KEY');
    expect(stdout).not.toContain(written.split('\n')[1]!);
    expect(await run(['keygen', '--out', 'my.key'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('my.key exists already'),
    });
    expect(await readFile(join(directory, 'my.key'), 'utf8')).toBe(written);
  });

  it('leaves no half pair behind', async () => {
    await writeFile(join(directory, 'my.key.pub'), 'other');
    expect((await run(['keygen', '--out', 'my.key'])).code).toBe(1);
    await expect(stat(join(directory, 'my.key'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(join(directory, 'my.key.pub'), 'utf8')).toBe('other');
  });
});

describe('refusals', () => {
  it.each([
    ['no such module', ['pack', 'nowhere'], 'ENOENT'],
    [
      'no artifact',
      ['sign', 'module/package.json', '--key', 'k.pem'],
      'module/package.json: The artifact is not gzipped',
    ],
    ['no such file', ['sign', 'nowhere.tgz', '--key', 'k.pem'], 'nowhere.tgz'],
  ])('exits 1 with %s', async (_, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });

  it('exits 1 for a key that is none, without showing it', async () => {
    await run(['pack', 'module', '--out', 'a.tgz']);
    await writeFile(join(directory, 'k.pem'), 'top secret');
    const { code, stderr } = await run(['sign', 'a.tgz', '--key', 'k.pem']);
    expect(code).toBe(1);
    expect(stderr).toBe('k.pem is not a private key in PEM form without a passphrase\n');
  });

  it.each([
    [[], 'A command is missing.'],
    [['unpack'], 'There is no command "unpack".'],
    [['constructor'], 'There is no command "constructor".'],
    [['pack'], 'Exactly one DIR is wanted.'],
    [['pack', 'a', 'b'], 'Exactly one DIR is wanted.'],
    [['pack', 'a', '--force'], "Unknown option '--force'"],
    [['sign', 'a.tgz'], '--key is missing.'],
    [['keygen', '--id', '../x'], "can't name a key"],
    [['publish', 'a.tgz'], '--bundle is missing.'],
    [['publish', 'a.tgz', '--bundle', 'b', '--url', 'ftp://x'], '--url must be an http or https URL.'],
  ])('exits 2 for %j', async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: npm run module --');
  });

  it('shows its usage on request', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage:'), stderr: '' });
  });
});
