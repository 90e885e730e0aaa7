import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { advertisedAddress, readSettings, SettingsError } from '../src/settings.js';

const least = {
  HOTSWAP_ORCHESTRATOR_URL: 'http://127.0.0.1:5000/',
  HOTSWAP_ENVIRONMENT: 'production',
  HOTSWAP_NODE_DIR: '/var/lib/node',
  HOTSWAP_TRUST_FILE: '/etc/trust.json',
};

describe('settings', () => {
  it('have defaults for all but four', () => {
    expect(readSettings(least)).toEqual({
      orchestratorUrl: 'http://127.0.0.1:5000',
      environment: 'Production',
      nodeDirectory: '/var/lib/node',
      host: '127.0.0.1',
      port: 0,
      address: null,
      zone: null,
      trustFile: '/etc/trust.json',
      secretsDirectory: null,
      joinToken: null,
      lameDuckSeconds: 5,
      drainSeconds: 30,
      clientIdleSeconds: 60,
      memoryMiB: expect.any(Number),
      spares: 1,
      logLevel: 'info',
      traceEndpoint: null,
    });
  });

  it('tell all that is wrong at once, and no value that may be secret', () => {
    const wrong = {
      HOTSWAP_ORCHESTRATOR_URL: 'ftp://user:password@x',
      HOTSWAP_ENVIRONMENT: 'Moon',
      PORT: '99999',
      HOTSWAP_DRAIN_SECONDS: '-1',
      HOTSWAP_CLIENT_IDLE_SECONDS: '0',
      LOG_LEVEL: 'loud',
    };
    const read = () => readSettings(wrong);
    expect(read).toThrow(SettingsError);
    for (const name of [...Object.keys(wrong), 'HOTSWAP_NODE_DIR', 'HOTSWAP_TRUST_FILE']) expect(read).toThrow(name);
    expect(read).not.toThrow('password');
  });

  it('take the join token from a file, and say what is wrong with it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hotswap-settings-'));
    try {
      const file = join(folder, 'token');
      const given = { ...least, HOTSWAP_JOIN_TOKEN_FILE: file };
      expect(() => readSettings(given)).toThrow(file);
      writeFileSync(file, '\n');
      expect(() => readSettings(given)).toThrow('is empty');
      writeFileSync(file, 'let-me-in\n');
      expect(readSettings(given).joinToken).toBe('let-me-in');
      expect(() => readSettings({ ...given, HOTSWAP_JOIN_TOKEN: 'let-me-in' })).toThrow('both set');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:7301'],
    ['::1', 'http://[::1]:7301'],
    ['0.0.0.0', `http://${hostname()}:7301`],
  ])('advertise what %s is reached by', (host, address) => {
    expect(advertisedAddress(readSettings({ ...least, HOST: host }), 7301)).toBe(address);
  });

  it('advertise the address that is set', () => {
    const settings = readSettings({ ...least, HOTSWAP_ADDRESS: 'https://node-1.example/' });
    expect(advertisedAddress(settings, 7301)).toBe('https://node-1.example');
  });
});
