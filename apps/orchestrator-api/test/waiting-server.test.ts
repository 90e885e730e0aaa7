import { it } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../../../tools/free-port.js';
import { waitForApplication } from '../src/waiting-server.js';

it('leaves its address also when it is told to while it looks its host up', async () => {
  const address = { port: await freePort(), host: 'localhost' };
  const waiting = waitForApplication(address);
  // As long as it waits before it binds, and begun after it: what runs next when the lookup is under way.
  await pause(1500);
  await waiting.leave();
  const application = createServer().listen(address);
  // Rejects where the address is taken.
  await once(application, 'listening');
  application.close();
});
