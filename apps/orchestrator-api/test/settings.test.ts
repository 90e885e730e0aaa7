import { describe, expect, it } from '@jest/globals';
import { readSettings, SettingsError } from '../src/settings.js';

const least = {
  DATABASE_URL: 'postgres://hotswap@127.0.0.1:5432/hotswap',
  HOTSWAP_TRUST_FILE: '/etc/hotswap/trust.json',
};

describe('settings', () => {
  it('have defaults', () => {
    expect(readSettings(least)).toMatchObject({
      port: 5000,
      host: '127.0.0.1',
      apiToken: null,
      joinToken: null,
      logLevel: 'info',
      warnings: [],
    });
  });

  it.each([
    ['DATABASE_URL', {}],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://localhost/x' }],
    ['HOTSWAP_TRUST_FILE', { HOTSWAP_TRUST_FILE: ' ' }],
    ['PORT', { PORT: '70000' }],
    ['PORT', { PORT: 'http' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
    ['HOTSWAP_API_TOKEN', { HOTSWAP_API_TOKEN: 'short' }],
    ['HOTSWAP_JOIN_TOKEN', { HOTSWAP_JOIN_TOKEN: 'with a space in the middle' }],
    ['HOTSWAP_ALLOW_OPEN', { HOTSWAP_ALLOW_OPEN: 'yes' }],
    ['HOTSWAP_API_TOKEN', { HOST: '0.0.0.0' }],
    ['HOTSWAP_API_TOKEN', { HOST: '10.0.0.1', HOTSWAP_ALLOW_OPEN: 'true' }],
  ])('say that %s is wrong in %j', (name, changes: Record<string, string>) => {
    const given = Object.keys(changes).length === 0 ? {} : { ...least, ...changes };
    expect(() => readSettings(given)).toThrow(SettingsError);
    expect(() => readSettings(given)).toThrow(name);
  });

  it('tell everything that is wrong at once, and no secret', () => {
    const given = { PORT: '-1', HOTSWAP_API_TOKEN: 'hunter2' };
    expect(() => readSettings(given)).toThrow(/DATABASE_URL[^]*HOTSWAP_TRUST_FILE[^]*PORT[^]*HOTSWAP_API_TOKEN/);
    expect(() => readSettings(given)).not.toThrow(/hunter2/);
  });

  it('let an API be open beyond loopback only with a warning', () => {
    const given = { ...least, HOST: '0.0.0.0', HOTSWAP_ALLOW_OPEN: 'loopback-published' };
    expect(readSettings(given).warnings).toHaveLength(1);
    expect(readSettings({ ...least, HOST: '0.0.0.0', HOTSWAP_API_TOKEN: 'x'.repeat(32) }).warnings).toEqual([]);
  });
});
