import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeReport } from '@hotswap/agent-protocol';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { assignment, Fixture, versioned, waitFor } from './node-fixture.js';

describe('a node and its control plane', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.create();
  });
  afterEach(() => fixture.close());

  it('serves from its disk when it restarts while the control plane is away, and reports when that is back', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    const two = await fixture.publish('other', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one), assignment(two)] };
    const first = await fixture.startNode();
    await first.ready();
    // This document does not mention the other module, which stays all the same: after a restart too.
    fixture.controlPlane.assign({ epoch: 2, revision: 1, modules: [assignment(one)] });
    await waitFor('the document is accepted', () => fixture.controlPlane.latest?.accepted?.epoch === 2);
    await fixture.controlPlane.stop();
    expect((await fetch(`${first.address}/greeter/`)).status).toBe(200);
    await first.kill();

    const second = await fixture.startNode();
    await second.ready();
    expect(await (await fetch(`${second.address}/greeter/`)).json()).toMatchObject({ version: '1.0.0' });
    expect((await fetch(`${second.address}/other/`)).status).toBe(200);

    await fixture.controlPlane.start();
    await waitFor('it has joined again', () => fixture.controlPlane.joins.length === 2);
    const [before, after] = fixture.controlPlane.joins;
    expect(after?.request).toMatchObject({ nodeId: before?.request.nodeId, accepted: { epoch: 2, revision: 1 } });
    expect(after?.request.bootId).not.toBe(before?.request.bootId);
    expect(after?.authorization).toBe('Bearer first-secret');
    const told = () =>
      fixture.controlPlane.reports
        .filter(({ bootId }) => bootId === after?.request.bootId)
        .flatMap(({ traffic }) => traffic)
        .reduce((sum, { requests }) => sum + requests, 0);
    await waitFor('what it served meanwhile is reported', () => told() === 2);
  });

  it('refuses an older document, and one of the same number with other content', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    const two = await fixture.publish('greeter', '2.0.0', versioned());
    fixture.controlPlane.document = { epoch: 3, revision: 5, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();
    const refused = () => fixture.controlPlane.latest?.refused ?? '';

    fixture.controlPlane.send({ epoch: 3, revision: 4, modules: [assignment(two)] });
    await waitFor('the lower revision is refused', () => refused().includes('3.4'));
    fixture.controlPlane.send({ epoch: 2, revision: 99, modules: [assignment(two)] });
    await waitFor('the lower epoch is refused', () => refused().includes('2.99'));
    fixture.controlPlane.send({ epoch: 3, revision: 5, modules: [assignment(two)] });
    await waitFor('other content is refused', () => refused().includes('other content'));
    expect(fixture.controlPlane.latest?.diverged).toBe(true);
    fixture.controlPlane.send({ epoch: 3, revision: 6, modules: [{ module: '../climb' }] });
    await waitFor('a malformed one is refused', () => refused().includes('malformed'));
    expect(fixture.controlPlane.latest?.accepted).toEqual({ epoch: 3, revision: 5 });
    expect(await (await fetch(`${node.address}/greeter/`)).json()).toMatchObject({ version: '1.0.0' });

    fixture.controlPlane.assign({ epoch: 4, revision: 0, modules: [assignment(two)] });
    await waitFor('the newer one is in force', async () => {
      return ((await (await fetch(`${node.address}/greeter/`)).json()) as { version: string }).version === '2.0.0';
    });
    await waitFor('nothing is refused any more', () => fixture.controlPlane.latest?.refused === null);
  });

  it('leaves and exits with 3 when a later boot of the same node has registered', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const first = await fixture.startNode({ HOTSWAP_LAME_DUCK_SECONDS: '5' });
    await first.ready();
    const firstBoot = fixture.controlPlane.joins[0]?.request.bootId;
    const second = await fixture.startNode();
    await waitFor('the copy is no longer ready', async () => {
      return (await fetch(`${first.address}/health/ready`)).status === 503;
    });
    const countOfFirst = () => fixture.controlPlane.reports.filter(({ bootId }) => bootId === firstBoot).length;
    const before = countOfFirst();
    expect(await first.exited).toBe(3);
    expect(countOfFirst()).toBe(before);
    expect(first.logs.some(({ level, msg }) => level === 'error' && String(msg).includes('copy'))).toBe(true);
    await second.ready();
    expect((await fetch(`${second.address}/greeter/`)).status).toBe(200);
  });

  it('drains and exits when it is decommissioned', async () => {
    const node = await fixture.startNode();
    await node.ready();
    fixture.controlPlane.reportsRefused = { status: 410, code: 'decommissioned' };
    expect(await node.exited).toBe(0);
    expect(node.logs.some(({ msg }) => String(msg).includes('decommissioned'))).toBe(true);
    // A later process neither asks again nor serves what the disk has, also without a control plane.
    await fixture.controlPlane.stop();
    const later = fixture.launchNode();
    expect(await later.exited).toBe(0);
    expect(later.logs).toEqual([
      expect.objectContaining({ level: 'warn', msg: expect.stringContaining('was decommissioned at') }),
    ]);
  });

  it('is not ended by a 410 that is not the control plane’s', async () => {
    const node = await fixture.startNode();
    await node.ready();
    fixture.controlPlane.reportsRefused = { status: 410, code: 'gone' };
    await waitFor('it says so', () => node.logs.some(({ msg }) => String(msg).includes("reports can't be delivered")));
    fixture.controlPlane.reportsRefused = null;
    const count = fixture.controlPlane.reports.length;
    await waitFor('it reports again', () => fixture.controlPlane.reports.length > count);
    await node.ready();
  });

  it('leaves its traffic, and stays, when its document says so of this boot', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();
    const { bootId } = fixture.controlPlane.joins[0]!.request;
    const drain = (revision: number, drainedBootId: string) =>
      fixture.controlPlane.assign({ epoch: 1, revision, modules: [assignment(one)], drainedBootId });
    drain(2, 'another-boot');
    await waitFor('it is accepted', () => fixture.controlPlane.latest?.accepted?.revision === 2);
    await node.ready();
    drain(3, bootId);
    await waitFor('it drains', () => fixture.controlPlane.latest?.state === 'Draining');
    const states = fixture.controlPlane.reports.map(({ state }) => state);
    expect(states.filter((state, index) => state !== states[index - 1])).toEqual([
      expect.stringMatching(/^(Starting|Ready)$/),
      ...(states[0] === 'Starting' ? ['Ready'] : []),
      'LameDuck',
      'Draining',
    ]);
    expect((await fetch(`${node.address}/health/ready`)).status).toBe(503);
    const late = await fetch(`${node.address}/greeter/`);
    expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
    const count = fixture.controlPlane.reports.length;
    await waitFor('it reports on', () => fixture.controlPlane.reports.length > count + 1);
    node.signal('SIGTERM');
    expect(await node.exited).toBe(0);
    expect(fixture.controlPlane.latest?.state).toBe('Gone');
    // The document on disk names a boot that is over.
    const again = await fixture.startNode();
    await again.ready();
  });

  it('joins by its token, keeps its secret to itself, and joins again when the control plane has forgotten it', async () => {
    fixture.controlPlane.joinToken = 'let-me-in';
    const node = await fixture.startNode({ HOTSWAP_JOIN_TOKEN: 'let-me-in' });
    await node.ready();
    expect(fixture.controlPlane.joins[0]?.authorization).toBe('Bearer let-me-in');
    const secretFile = join(fixture.directory, 'node/node-secret');
    expect((await stat(secretFile)).mode & 0o777).toBe(0o600);

    fixture.controlPlane.secret = 'second-secret';
    await waitFor('it has joined again', () => fixture.controlPlane.joins.length === 2);
    const reportCount = fixture.controlPlane.reports.length;
    await waitFor('it reports again', () => fixture.controlPlane.reports.length > reportCount);
    expect((await readFile(secretFile, 'utf8')).trim()).toBe('second-secret');
    expect(node.transcript()).not.toMatch(/let-me-in|(first|second)-secret/);
  });

  it('sends a report whose answer was lost again under the same number, and none twice under two', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();
    fixture.controlPlane.loseAnswers = 3;
    for (let count = 0; count < 20; count++) expect((await fetch(`${node.address}/greeter/`)).status).toBe(200);
    const told = () =>
      fixture.controlPlane.reports.flatMap(({ traffic }) => traffic).reduce((sum, { requests }) => sum + requests, 0);
    await waitFor('answers were lost', () => fixture.controlPlane.repeatedCount >= 3);
    await waitFor('all is told', () => told() === 20);
    const numbers = fixture.controlPlane.reports.map(({ sequence }) => sequence);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('tells how old counts are that it could not deliver for a while', async () => {
    const one = await fixture.publish('greeter', '1.0.0', versioned());
    fixture.controlPlane.document = { epoch: 1, revision: 1, modules: [assignment(one)] };
    const node = await fixture.startNode();
    await node.ready();
    await fixture.controlPlane.stop();
    expect((await fetch(`${node.address}/greeter/`)).status).toBe(200);
    await delay(2_500);
    await fixture.controlPlane.start();
    const carries = ({ traffic }: NodeReport) => traffic.some(({ requests }) => requests > 0);
    const late = () => fixture.controlPlane.reports.find(carries);
    await waitFor('the request is told', () => late() !== undefined);
    expect(late()!.ageSeconds).toBeGreaterThan(1);
    await waitFor('reports are fresh again', () => (fixture.controlPlane.latest?.ageSeconds ?? 9) < 1);
  });

  it('follows the document by polling where no stream can be had', async () => {
    fixture.controlPlane.streamsOpen = false;
    const node = await fixture.startNode();
    await node.ready();
    fixture.controlPlane.document = { epoch: 1, revision: 2, modules: [] };
    await waitFor('the document is accepted', () => fixture.controlPlane.latest?.accepted?.revision === 2);
  });

  it('starts without a document that was damaged on disk, and takes it from the control plane', async () => {
    await mkdir(join(fixture.directory, 'node'), { recursive: true });
    await writeFile(join(fixture.directory, 'node/document.json'), '{"document":{"epoch":9');
    const node = await fixture.startNode();
    await node.ready();
    await waitFor('it is told', () => fixture.controlPlane.latest?.accepted?.epoch === 1);
    expect(node.logs.some(({ level, msg }) => level === 'warn' && String(msg).includes('document.json'))).toBe(true);
  });
});
