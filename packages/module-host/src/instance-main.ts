import { Socket } from 'node:net';
import { surviveAborts } from './instance/abort-reason.js';
import { InstanceServer } from './instance/instance-server.js';
import { rehearse } from './instance/rehearsal.js';
import { processUsage, statisticsWith } from './instance/usage.js';
import { installWebStandards } from './instance/web-standards.js';
import { SocketWire } from './wire/wire.js';

// The program of an instance's process: it lives on the socket that its kernel gave it, and ends with it.
const socketDescriptor = 3;
const kill = process.kill.bind(process, process.pid, 'SIGKILL');

// A signal to the whole group is the kernel's to answer: instances end when they are drained.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

installWebStandards();
surviveAborts();
const socket = new Socket({ fd: socketDescriptor, readable: true, writable: true });
// Not `process.exit`: a module could hold that up.
socket.on('error', () => kill());
const takeStatistics = statisticsWith(processUsage);
const server = new InstanceServer(new SocketWire(socket), takeStatistics, () => kill());
rehearse(takeStatistics, () => server.isCalled);
