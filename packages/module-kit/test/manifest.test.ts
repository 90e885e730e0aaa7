import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { kernelVersion, ManifestError, parseManifest } from '../src/index.js';
import { packageJson } from './module-fixture.js';

function problemsOf(json: unknown): readonly { pointer: string; message: string }[] {
  try {
    parseManifest(json);
  } catch (error) {
    if (error instanceof ManifestError) return error.problems;
    throw error;
  }
  return [];
}

const pointersOf = (json: unknown) => problemsOf(json).map(({ pointer }) => pointer);
const withManifest = (manifest: Record<string, unknown>) => packageJson({}, manifest);

describe('parseManifest', () => {
  it('fills in every default', () => {
    expect(parseManifest(packageJson())).toEqual({
      name: 'greeter',
      version: '1.2.3',
      manifest: {
        manifest: 1,
        entry: 'dist/module.js',
        route: 'greeter',
        kernel: '^1.0.0',
        isolation: 'process',
        permissions: { network: false, fileRead: [], fileWrite: [], childProcess: false },
        limits: { memoryMiB: 128, requestSeconds: 30, requestBodyMiB: 10, inFlight: 1000 },
        health: { path: null, timeoutSeconds: 2 },
        smoke: [],
      },
    });
  });

  it('fills in what a given part leaves out', () => {
    const { manifest } = parseManifest(
      withManifest({
        limits: { memoryMiB: 64 },
        permissions: { network: true },
        health: { path: '/health' },
        smoke: [{ request: { path: '/version' } }],
      }),
    );
    expect(manifest.limits).toEqual({ memoryMiB: 64, requestSeconds: 30, requestBodyMiB: 10, inFlight: 1000 });
    expect(manifest.permissions).toEqual({ network: true, fileRead: [], fileWrite: [], childProcess: false });
    expect(manifest.health).toEqual({ path: '/health', timeoutSeconds: 2 });
    expect(manifest.smoke).toEqual([
      { request: { method: 'GET', path: '/version', headers: {} }, expect: { status: 200 } },
    ]);
  });

  it('leaves the given value alone, and defaults of one call apart from the next', () => {
    const json = packageJson();
    const { manifest } = parseManifest(json);
    manifest.permissions.fileRead.push('/etc');
    expect(json).toEqual(packageJson());
    expect(parseManifest(json).manifest.permissions.fileRead).toEqual([]);
  });

  it.each([
    ['/hotswap/entyr', { entyr: 'x' }],
    ['/hotswap/permissions/net', { permissions: { net: true } }],
    ['/hotswap/limits/memory', { limits: { memory: 1 } }],
    ['/hotswap/health/url', { health: { url: '/' } }],
    ['/hotswap/smoke/0/expected', { smoke: [{ request: { path: '/' }, expected: {} }] }],
    ['/hotswap/smoke/0/request/body', { smoke: [{ request: { path: '/', body: '' } }] }],
    ['/hotswap/smoke/0/expect/code', { smoke: [{ request: { path: '/' }, expect: { code: 200 } }] }],
    ['/hotswap/a~1b~0c', { 'a/b~c': 1 }],
  ])('refuses an unknown field with its path %s', (pointer, manifest) => {
    expect(problemsOf(withManifest(manifest))).toEqual([{ pointer, message: 'is not a known field' }]);
  });

  it('refuses any field that the schema does not name', () => {
    const known = new Set(
      'manifest entry route kernel isolation permissions limits health smoke'.split(' ').concat('__proto__'),
    );
    fc.assert(
      fc.property(
        fc.string().filter((field) => !known.has(field)),
        (field) => {
          const escaped = field.replaceAll('~', '~0').replaceAll('/', '~1');
          expect(pointersOf(withManifest({ [field]: 1 }))).toEqual([`/hotswap/${escaped}`]);
        },
      ),
    );
  });

  it.each([
    [{ entry: '/dist/module.js' }],
    [{ entry: '../module.js' }],
    [{ entry: 'dist/../../module.js' }],
    [{ entry: './module.js' }],
    [{ entry: 'dist\\module.js' }],
    [{ entry: 'module.cjs' }],
  ])('refuses the entry of %j', (manifest) => {
    expect(pointersOf(withManifest(manifest))).toEqual(['/hotswap/entry']);
  });

  it.each([
    ['/hotswap/route', { route: 'Payments' }],
    ['/hotswap/route', { route: 'a/b' }],
    ['/hotswap/route', { route: 'metrics' }],
    ['/hotswap/manifest', { manifest: 2 }],
    ['/hotswap/isolation', { isolation: 'none' }],
    ['/hotswap/limits/memoryMiB', { limits: { memoryMiB: '128' } }],
    ['/hotswap/limits/inFlight', { limits: { inFlight: 0 } }],
    ['/hotswap/permissions/fileRead/0', { permissions: { fileRead: ['*'] } }],
    ['/hotswap/health/path', { health: { path: 'health' } }],
  ])('refuses a wrong value at %s', (pointer, manifest) => {
    expect(pointersOf(withManifest(manifest))).toEqual([pointer]);
  });

  it('asks for what has no default', () => {
    expect(problemsOf({ name: 'a', version: '1.0.0', hotswap: {} })).toEqual(
      ['manifest', 'entry', 'kernel'].map((field) => ({ pointer: `/hotswap/${field}`, message: 'is required' })),
    );
    expect(pointersOf({ name: 'a', version: '1.0.0' })).toEqual(['/hotswap']);
    expect(pointersOf([])).toEqual(['']);
  });

  it('refuses a module whose name would be the node’s own route', () => {
    expect(pointersOf(packageJson({ name: 'health' }))).toEqual(['/hotswap/route']);
    expect(parseManifest(packageJson({ name: 'health' }, { route: 'doctor' })).manifest.route).toBe('doctor');
  });

  it.each(['Greeter', '@team/greeter', 'a_b', '', 'a'.repeat(101), 7])('refuses the name %j', (name) => {
    expect(pointersOf(packageJson({ name }, { route: 'greeter' }))).toEqual(['/name']);
  });

  it.each(['1.0', 'v1.0.0', '^1.0.0', '1.0.0 ', 'latest', '01.0.0', 1])('refuses the version %j', (version) => {
    expect(pointersOf(packageJson({ version }))).toEqual(['/version']);
  });

  it.each(['0.0.1', '1.0.0-rc.1', '1.0.0+build.5', '1.0.0-rc.1+5'])('takes the version %s', (version) => {
    expect(parseManifest(packageJson({ version })).version).toBe(version);
  });

  it('wants a range that this kernel is in', () => {
    for (const kernel of ['^1.0.0', '>=1 <2', '*', kernelVersion]) {
      expect(problemsOf(withManifest({ kernel }))).toEqual([]);
    }
    expect(problemsOf(withManifest({ kernel: '^2.0.0' }))).toEqual([
      { pointer: '/hotswap/kernel', message: `asks for ^2.0.0, but this kernel is ${kernelVersion}` },
    ]);
    expect(pointersOf(withManifest({ kernel: 'newest' }))).toEqual(['/hotswap/kernel']);
  });

  it('names all problems in its message', () => {
    expect(() => parseManifest(packageJson({ version: 'x' }, { entry: 1 }))).toThrow(
      'package.json: /version: must be an exact semver version, such as 1.2.3; /hotswap/entry: must be string',
    );
  });
});
