import { parentPort, workerData } from 'node:worker_threads';
import { surviveAborts } from './instance/abort-reason.js';
import { InstanceServer } from './instance/instance-server.js';
import { rehearse } from './instance/rehearsal.js';
import { statisticsWith, threadUsage } from './instance/usage.js';
import { installWebStandards } from './instance/web-standards.js';
import { PortWire } from './wire/wire.js';

// The program of an instance's thread. Its kernel ends it; it can't outlive it.
if (parentPort === null) throw new Error('This program runs as a worker thread.');
installWebStandards();
surviveAborts();
const takeStatistics = statisticsWith(threadUsage);
const server = new InstanceServer(new PortWire(parentPort, workerData as Int32Array), takeStatistics, () => undefined);
rehearse(takeStatistics, () => server.isCalled);
