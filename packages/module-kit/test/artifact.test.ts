import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGzip, gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { ArtifactError, digestOf, readArtifact, writeArtifact } from '../src/index.js';
import { artifactOf, entries, moduleSource, packageJson, tarOf, type Entry } from './module-fixture.js';

const refusal = async (bytes: Buffer): Promise<string> => {
  const outcome = await readArtifact(bytes).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(ArtifactError);
  return (outcome as Error).message;
};
const withEntry = async (entry: Entry) => artifactOf([...entries(), entry]);

describe('readArtifact', () => {
  it('reads what was packed', async () => {
    const bytes = await artifactOf();
    const artifact = await readArtifact(bytes);
    expect(artifact).toMatchObject({
      name: 'greeter',
      version: '1.2.3',
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
    });
    expect(artifact.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(artifact.manifest.route).toBe('greeter');
    expect([...artifact.files.keys()]).toEqual(['package.json', 'dist/module.js']);
    expect(artifact.files.get('dist/module.js')?.toString()).toBe(moduleSource);
  });

  it.each([
    '/etc/passwd',
    'package//etc/passwd',
    'package/../../x.js',
    'package/a/../x.js',
    'package/./x.js',
    '../x.js',
    'x.js',
    'other/x.js',
    'package/..\\..\\x.js',
    'package/C:x.js',
    'package/a\nb.js',
    `package/${'a/'.repeat(150)}x.js`,
  ])('refuses the path %j', async (name) => {
    expect(await refusal(await withEntry({ name, content: 'x' }))).toContain('is refused');
  });

  it.each(['symlink', 'link', 'directory', 'character-device', 'block-device', 'fifo'] as const)(
    'refuses a %s',
    async (type) => {
      const entry: Entry = { name: 'package/x', type, ...(type.endsWith('link') ? { linkname: '/etc/passwd' } : {}) };
      expect(await refusal(await withEntry(entry))).toContain(`is a ${type}; only regular files`);
    },
  );

  it.each([
    ['package/a.js', 'package/a.js'],
    ['package/a.js', 'package/A.js'],
    ['package/\u00e9.js', 'package/e\u0301.js'],
    ['package/a', 'package/a/b.js'],
    ['package/a/b.js', 'package/a'],
  ])('refuses %j beside %j', async (first, second) => {
    const list = [...entries(), { name: first, content: 'x' }, { name: second, content: 'y' }];
    expect(await refusal(await artifactOf(list))).toContain('clashes with another');
  });

  it('takes 200 entries, but not 201', async () => {
    const filler = (count: number): Entry[] =>
      Array.from({ length: count }, (_, index) => ({ name: `package/f${index}`, content: '' }));
    await expect(readArtifact(await artifactOf([...entries(), ...filler(198)]))).resolves.toBeDefined();
    expect(await refusal(await artifactOf([...entries(), ...filler(199)]))).toContain('more than 200 entries');
  });

  it('refuses more than 10 MiB packed', async () => {
    expect(await refusal(Buffer.alloc(10 * 1024 * 1024 + 1))).toContain('at most 10 MiB');
  });

  it('refuses more than 50 MiB unpacked', async () => {
    const half = Buffer.alloc(25 * 1024 * 1024);
    const list = ['a', 'b'].map((name) => ({ name: `package/${name}`, content: half }));
    expect(await refusal(await artifactOf([...entries(), ...list]))).toContain('unpacks to more than 50 MiB');
  });

  it('stops a bomb of 1 GiB before it is in memory', async () => {
    const block = Buffer.alloc(1024 * 1024);
    const zeros = Readable.from(
      (function* () {
        for (let count = 0; count < 1024; count++) yield block;
      })(),
    );
    const bomb = await buffer(zeros.pipe(createGzip({ level: 1 })));
    expect(bomb.length).toBeLessThan(10 * 1024 * 1024);
    const before = process.resourceUsage().maxRSS;
    expect(await refusal(bomb)).toContain('unpacks to more than 50 MiB');
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(512 * 1024);
  });

  it('refuses what is no archive, or not all of one', async () => {
    expect(await refusal(Buffer.from('hello'))).toContain('not gzipped');
    expect(await refusal(gzipSync(Buffer.alloc(2048, 'x')))).toContain('not a whole tar');
    const tar = await tarOf(entries());
    expect(await refusal(gzipSync(tar.subarray(0, 700)))).toContain('not a whole tar');
    const bytes = await artifactOf();
    expect(await refusal(bytes.subarray(0, bytes.length - 10))).toContain('not gzipped');
  });

  it('wants package.json, with a manifest, and the entry it names', async () => {
    const [manifest, code] = entries();
    expect(await refusal(await artifactOf([code!]))).toContain('no package/package.json');
    expect(await refusal(await artifactOf([manifest!]))).toContain('"dist/module.js"');
    expect(await refusal(await artifactOf([{ name: 'package/package.json', content: '{' }]))).toContain('not JSON');
    expect(await refusal(await artifactOf(entries(packageJson({ version: '1' }))))).toContain('/version');
    const big = { ...packageJson(), description: 'x'.repeat(256 * 1024) };
    expect(await refusal(await artifactOf(entries(big)))).toContain('more than 256 KiB');
  });

  it('never answers changed bytes with anything but an ArtifactError or another digest', async () => {
    const bytes = await artifactOf();
    const { digest } = await readArtifact(bytes);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (index, mask) => {
        const changed = Buffer.from(bytes);
        changed[index]! ^= mask;
        const outcome = await readArtifact(changed).catch((error: unknown) => error);
        if (!(outcome instanceof ArtifactError)) expect(outcome).not.toMatchObject({ digest });
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(ArtifactError);
      }),
      { numRuns: 200 },
    );
  });
});

describe('writeArtifact', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hotswap-artifact-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('writes the files, and does not overwrite', async () => {
    const artifact = await readArtifact(await artifactOf());
    const target = join(directory, 'new', 'place');
    await writeArtifact(artifact, target);
    expect((await readdir(target, { recursive: true })).sort()).toEqual(['dist', 'dist/module.js', 'package.json']);
    expect(await readFile(join(target, 'dist/module.js'), 'utf8')).toBe(moduleSource);
    await expect(writeArtifact(artifact, target)).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
