import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ArtifactCache } from '../src/artifacts/artifact-cache.js';
import { ControlPlane, Identity } from '@hotswap/node-agent';
import { Fixture } from './node-fixture.js';

describe('the artifact cache', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.close());

  const hexOf = (index: number) => String(index).repeat(64);

  /** A cache with artifacts 1 to `count` of 100 bytes, the first unused for longest. */
  async function cacheOf(
    count: number,
    limits: { bytesMax: number; artifactCountMax: number },
  ): Promise<ArtifactCache> {
    for (let index = 1; index <= count; index++) {
      const folder = join(fixture.directory, 'artifacts', hexOf(index));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'artifact.tgz'), Buffer.alloc(100));
      await utimes(join(folder, 'artifact.tgz'), index, index);
    }
    const identity = await Identity.load(fixture.directory, 'QA');
    const controlPlane = new ControlPlane(fixture.controlPlane.url, identity);
    return ArtifactCache.open(fixture.directory, identity.bootId, controlPlane, () => undefined, limits);
  }
  const kept = async () => (await readdir(join(fixture.directory, 'artifacts'))).sort();

  it.each([
    { what: 'too many', limits: { bytesMax: 10_000, artifactCountMax: 3 } },
    { what: 'too large', limits: { bytesMax: 300, artifactCountMax: 100 } },
  ])('forgets what was unused for longest and is not in use: $what', async ({ limits }) => {
    const cache = await cacheOf(5, limits);
    await cache.evict(new Set([`sha256:${hexOf(1)}`]));
    expect(await kept()).toEqual([1, 4, 5].map(hexOf));
  });

  it('keeps what is in use, whatever the limits', async () => {
    const cache = await cacheOf(2, { bytesMax: 0, artifactCountMax: 0 });
    await cache.evict(new Set([1, 2].map((index) => `sha256:${hexOf(index)}`)));
    expect(await kept()).toEqual([1, 2].map(hexOf));
  });

  it('clears what an ended process has unpacked, not what a living one has', async () => {
    const unpacked = join(fixture.directory, 'unpacked');
    // No process has a number this high; the parent of this one lives.
    await mkdir(join(unpacked, '99999999-gone'), { recursive: true });
    await mkdir(join(unpacked, `${process.ppid}-alive`), { recursive: true });
    await cacheOf(0, { bytesMax: 0, artifactCountMax: 0 });
    const names = await readdir(unpacked);
    expect(names).toContain(`${process.ppid}-alive`);
    expect(names).not.toContain('99999999-gone');
  });
});
