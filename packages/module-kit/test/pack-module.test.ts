import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packModule, readArtifact } from '../src/index.js';
import { moduleSource, packageJson } from './module-fixture.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hotswap-pack-'));
});
afterEach(() => rm(root, { recursive: true }));

async function moduleDirectory(json: unknown, files: Record<string, string> = {}): Promise<string> {
  const directory = join(root, 'module');
  const all = { 'package.json': JSON.stringify(json), 'dist/module.js': moduleSource, ...files };
  for (const [path, content] of Object.entries(all)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  return directory;
}

const packedPaths = async (directory: string) => [
  ...(await readArtifact((await packModule(directory)).bytes)).files.keys(),
];

describe('packModule', () => {
  it('gives the same bytes for the same files, whatever their times, modes and order', async () => {
    const directory = await moduleDirectory(packageJson(), { 'dist/b.js': 'b', 'dist/a.js': 'a', LICENSE: 'free' });
    const first = await packModule(directory);
    const copy = join(root, 'copy');
    await cp(directory, copy, { recursive: true });
    await chmod(join(copy, 'dist/a.js'), 0o755);
    await utimes(join(copy, 'dist/b.js'), 1, 1);
    const second = await packModule(copy);
    expect(second.bytes.equals(first.bytes)).toBe(true);
    expect(second).toMatchObject({
      fileName: 'greeter-1.2.3.tgz',
      name: 'greeter',
      version: '1.2.3',
      digest: first.digest,
    });
    await writeFile(join(copy, 'dist/a.js'), 'A');
    expect((await packModule(copy)).digest).not.toBe(first.digest);
  });

  it('takes dist, package.json, README and LICENSE, and nothing else, where "files" is missing', async () => {
    const files = {
      'README.md': '#',
      LICENSE: 'free',
      'src/module.ts': '',
      '.env': 'x',
      'dist/node_modules/x/index.js': '',
    };
    expect(await packedPaths(await moduleDirectory(packageJson(), files))).toEqual([
      'LICENSE',
      'README.md',
      'dist/module.js',
      'package.json',
    ]);
  });

  it('takes the files, folders and globs that "files" names', async () => {
    const json = packageJson({ files: ['dist/*.js', 'data/', './notes.txt'] });
    const files = { 'dist/x.map': '', 'data/deep/a.json': '{}', 'notes.txt': '', 'other.txt': '' };
    expect(await packedPaths(await moduleDirectory(json, files))).toEqual([
      'data/deep/a.json',
      'dist/module.js',
      'notes.txt',
      'package.json',
    ]);
  });

  it.each([[['../secret']], [['/etc']], [['!dist/x']], ['dist'], [[1]]])('refuses "files" %j', async (files) => {
    await expect(packModule(await moduleDirectory(packageJson({ files })))).rejects.toThrow(
      'must be a list of paths or globs',
    );
  });

  it('refuses links, missing files and wrong manifests with what is wrong', async () => {
    const directory = await moduleDirectory(packageJson());
    await symlink('/etc/hostname', join(directory, 'dist', 'link'));
    await expect(packModule(directory)).rejects.toThrow('is not a regular file');
    await rm(join(directory, 'dist'), { recursive: true });
    await expect(packModule(directory)).rejects.toThrow('names dist, but there is no such file');
    await mkdir(join(directory, 'dist'));
    await writeFile(join(directory, 'dist', 'other.js'), '');
    await expect(packModule(directory)).rejects.toThrow('The entry "dist/module.js"');
    await writeFile(join(directory, 'package.json'), '{}');
    await expect(packModule(directory)).rejects.toThrow('/name');
    await expect(packModule(root)).rejects.toThrow('has no package.json');
  });

  it('refuses too many files before it reads them', async () => {
    const files = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`dist/${index}.js`, '']));
    await expect(packModule(await moduleDirectory(packageJson(), files))).rejects.toThrow('has 202 files to pack');
  });
});
