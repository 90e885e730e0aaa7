import { parentPort, workerData } from 'node:worker_threads';
import { soundComposition } from './composition.js';
import { controls } from './controls.js';
import { installWorld } from './runtime/install-world.js';
import { simulate } from './simulate.js';

/** Which safeguard is taken out; null: none. */
export interface SeedWorkerData {
  without: string | null;
}

const { without } = workerData as SeedWorkerData;
const composition = without === null ? soundComposition : controls[without];
if (!composition || !parentPort) throw new Error(`There is no control "${without}"`);
const port = parentPort;
installWorld();

let queue: Promise<void> = Promise.resolve();
port.on('message', (seed: number) => {
  queue = queue.then(async () => port.postMessage(await simulate(seed, composition)));
});
