import { describe, expect, it } from '@jest/globals';
import { globSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packModule, readArtifact, writeArtifact, type Module } from '../src/index.js';

const examples = fileURLToPath(new URL('../../../examples', import.meta.url));
const packages = globSync('*/dist/*/package.json', { cwd: examples }).sort();

/** Whether everything that `expected` names is in `actual`. */
const includes = (actual: unknown, expected: unknown) => {
  expect({ actual }).toMatchObject({ actual: expected });
};

it('every version of every example was built', () => {
  expect(packages).toEqual([
    'payment-processor/dist/2.0.0/package.json',
    'payment-processor/dist/2.1.0/package.json',
    'payment-processor/dist/2.2.0/package.json',
    'price-list/dist/1.0.0/package.json',
  ]);
});

describe.each(packages)('%s', (path) => {
  it('packs, and its bundle passes its own health and smoke checks', async () => {
    const { bytes } = await packModule(join(examples, path, '..'));
    const { name, version, manifest, files } = await readArtifact(bytes);
    expect(path).toBe(`${name}/dist/${version}/package.json`);
    expect(manifest.limits.memoryMiB).toBe(128);
    expect(manifest.health.path).toBe('/health');
    expect(manifest.smoke.length).toBeGreaterThan(0);

    const directory = await mkdtemp(join(tmpdir(), 'hotswap-example-'));
    try {
      await writeArtifact({ name, version, manifest, files, digest: '', sizeBytes: 0 }, directory);
      const { default: module } = (await import(pathToFileURL(join(directory, manifest.entry)).href)) as {
        default: Module;
      };
      const env = { environment: 'QA', module: name, version, node: 'n1' };
      await module.start?.(env);
      const call = (target: string, init: RequestInit) =>
        module.fetch(new Request(`http://module${target}`, init), env, { waitUntil: () => undefined });

      expect((await call(manifest.health.path!, {})).status).toBe(200);
      for (const { request, expect: expected } of manifest.smoke) {
        const body = request.json === undefined ? {} : { body: JSON.stringify(request.json) };
        const response = await call(request.path, { method: request.method, headers: request.headers, ...body });
        expect(response.status).toBe(expected.status);
        if (expected.json !== undefined) includes(await response.json(), expected.json);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
