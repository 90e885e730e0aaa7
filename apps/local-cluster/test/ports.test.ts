import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { chooseFreePorts, listenProblem, requireFreePorts } from '../src/ports.js';

describe('ports', () => {
  let server: Server | null = null;
  afterEach(() => {
    server?.close();
    server = null;
  });

  async function occupy(): Promise<number> {
    const listening = createServer();
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return (listening.address() as AddressInfo).port;
  }

  it('names the setting and the port that is taken', async () => {
    const port = await occupy();
    await expect(requireFreePorts([{ name: 'PORT', host: '127.0.0.1', port }])).rejects.toThrow(
      new RegExp(`PORT: port ${port} on 127.0.0.1 is in use by another process .* set PORT to a free port`),
    );
  });

  it('sees a taken port from the wildcard address too', async () => {
    expect(await listenProblem('0.0.0.0', await occupy())).toBe('EADDRINUSE');
  });

  it('names HOST when the address is not this machine’s', async () => {
    await expect(requireFreePorts([{ name: 'PORT', host: '192.0.2.1', port: 5000 }])).rejects.toThrow(
      /HOST: "192.0.2.1" is no address/,
    );
  });

  it('chooses different ports that can be listened on, and none that is spoken for', async () => {
    const [first = 0] = await chooseFreePorts('127.0.0.1', 1, new Set());
    const ports = await chooseFreePorts('127.0.0.1', 20, new Set([first]));
    expect(new Set([first, ...ports]).size).toBe(21);
    for (const port of ports) expect(await listenProblem('127.0.0.1', port)).toBeNull();
  });
});
