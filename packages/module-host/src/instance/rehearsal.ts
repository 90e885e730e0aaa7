import type { ModuleEnv } from '@hotswap/module-kit';
import { FrameReader } from '../wire/frame-reader.js';
import { frameTypes } from '../wire/frame.js';
import { FrameWriter } from '../wire/frame-writer.js';
import { encodeHeaders, encodeRequestHead } from '../wire/head.js';
import type { InstanceCall, InstanceStatistics } from '../wire/messages.js';
import type { Wire } from '../wire/wire.js';
import { InstanceServer } from './instance-server.js';

const source = 'export default { async fetch(request) { return Response.json(await request.json()) } }';
const env: ModuleEnv = { environment: '', node: '', module: '', version: '' };
const answerBytesMax = 64 * 1024;

/**
 * Does once what an instance is there for: a sign of life, loading a module (one of its own), a request. Code that was never run is slow to run; so the first
 * module and its first request need not wait for that, but whoever waits in reserve does it while nobody waits.
 *
 * @param isCalled somebody waits: what is not begun is left.
 */
export function rehearse(takeStatistics: () => InstanceStatistics, isCalled: () => boolean): void {
  let tell: (bytes: Buffer) => void = () => undefined;
  const kernel = new FrameWriter(wireTo((bytes) => isCalled() || tell(bytes)));
  const ask = (id: number, call: InstanceCall) => kernel.writeJson(frameTypes.call, id, call);
  const answers = new FrameReader(answerBytesMax, ({ type, id }) => {
    if (type === frameTypes.done && id === 1) ask(2, { call: 'load', entryUrl: `data:text/javascript,${source}`, env });
    if (type !== frameTypes.done || id !== 2) return;
    const head = encodeRequestHead('POST', 'http://localhost/', encodeHeaders(['content-type', 'application/json']));
    kernel.write(frameTypes.request, 1, head, null, false);
    kernel.write(frameTypes.body, 1, '', Buffer.from('{}'));
  });
  const listen: Wire['listen'] = (onBytes) => (tell = onBytes);
  new InstanceServer({ ...wireTo((bytes) => answers.push(bytes)), listen }, takeStatistics, () => undefined);
  ask(1, { call: 'ping' });
}

function wireTo(send: (bytes: Buffer) => unknown): Wire {
  return {
    joinedBytesMax: Infinity,
    bufferedBytes: 0,
    allocate: (bytes) => Buffer.allocUnsafe(bytes),
    send,
    close: () => undefined,
    listen: () => undefined,
  };
}
