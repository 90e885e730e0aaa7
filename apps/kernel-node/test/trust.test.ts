import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { InstanceReport, ReleaseSpec } from '@hotswap/agent-protocol';
import { assignment, Fixture, versioned, waitFor } from './node-fixture.js';

describe('what a node refuses to load', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.close());

  /** Starts a node on the release and waits until it is reported as failed. */
  async function failureOf(spec: ReleaseSpec): Promise<InstanceReport> {
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(spec)] };
    const node = await fixture.startNode();
    const failed = () =>
      fixture.controlPlane.latest?.modules[0]?.instances.find(({ state, release }) => {
        return state === 'Failed' && release === spec.digest;
      });
    await waitFor(
      'it is refused',
      () => failed() !== undefined,
      () => node.transcript(),
    );
    const answer = await fetch(`${node.address}/${spec.module}/`);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(await answer.json()).toMatchObject({ code: 'module-not-ready', instance: `/${spec.module}/` });
    expect((await fetch(`${node.address}/health/ready`)).status).toBe(503);
    expect(fixture.controlPlane.latest?.modules[0]?.active).toBe(null);
    const unpacked = await readdir(join(fixture.directory, 'node/unpacked'), { recursive: true });
    expect(unpacked.filter((file) => file.endsWith('module.js'))).toEqual([]);
    return failed() as InstanceReport;
  }

  it('refuses other bytes than the digest names', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned());
    const published = fixture.controlPlane.artifacts.get(spec.artifact);
    if (published) published.bytes = Buffer.concat([published.bytes, Buffer.from([0])]);
    const failure = await failureOf(spec);
    expect(failure.failureKind).toBe('digest');
    expect(failure.error).toContain(spec.artifact);
  });

  it('refuses an artifact that nobody signed', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned(), { signer: null });
    const failure = await failureOf(spec);
    expect(failure.failureKind).toBe('signature');
    expect(failure.error).toContain('signature-missing');
  });

  it('refuses a signer that its trust file does not know', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned(), { signer: 'stranger' });
    const failure = await failureOf(spec);
    expect(failure.failureKind).toBe('signature');
    expect(failure.error).toContain('untrusted-signer');
  });

  it("refuses a trusted signer's module in an environment that no rule is about", async () => {
    const trust = JSON.parse(await readFile(fixture.trustFile, 'utf8')) as { rules: { environments: string[] }[] };
    trust.rules[0]?.environments.splice(0, 1, 'Production');
    await writeFile(fixture.trustFile, JSON.stringify(trust));
    const failure = await failureOf(await fixture.publish('greeter', '1.0.0', versioned()));
    expect(failure.failureKind).toBe('signature');
    expect(failure.error).toContain('QA');
  });

  it('refuses a signature made for another version', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned());
    const failure = await failureOf({ ...spec, version: '1.0.1' });
    expect(failure.failureKind).toBe('signature');
  });

  it('reports bytes that the control plane does not have as not fetched', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.artifacts.clear();
    const failure = await failureOf(spec);
    expect(failure.failureKind).toBe('fetch');
    expect(failure.error).toContain('404');
  });

  it('keeps serving the old release when the new one is refused', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    const two = await fixture.publish('greeter', '2.0.0', versioned(), { signer: 'stranger' });
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();
    fixture.controlPlane.assign({ epoch: 1, revision: 2, modules: [assignment(two, { warm: [one] })] });
    await waitFor('the new one is refused', () =>
      Boolean(
        fixture.controlPlane.latest?.modules[0]?.instances.some(({ failureKind }) => failureKind === 'signature'),
      ),
    );
    const response = await fetch(`${node.address}/greeter/`);
    expect(response.headers.get('x-hotswap-module')).toBe('greeter@1.0.0');
    expect((await fetch(`${node.address}/health/ready`)).status).toBe(200);
  });

  it('does not load bytes that were changed in its cache, and fetches them anew', async () => {
    const spec = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(spec)] };
    const first = await fixture.startNode();
    await first.ready();
    await first.kill();

    const other = await fixture.publish('greeter', '1.0.1', versioned());
    const cached = join(fixture.directory, 'node/artifacts', spec.artifact.slice(7), 'artifact.tgz');
    await writeFile(cached, fixture.controlPlane.artifacts.get(other.artifact)?.bytes ?? '');
    const fetchedBefore = fixture.controlPlane.artifactFetchCount;
    const second = await fixture.startNode();
    await second.ready();
    expect(await (await fetch(`${second.address}/greeter/`)).json()).toMatchObject({ version: '1.0.0' });
    expect(fixture.controlPlane.artifactFetchCount).toBe(fetchedBefore + 1);
  });
});
