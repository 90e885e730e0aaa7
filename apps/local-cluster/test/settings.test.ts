import { describe, expect, it } from '@jest/globals';
import { readSettings, SettingsError, type SettingProblem } from '../src/settings.js';

function problemsOf(variables: NodeJS.ProcessEnv): SettingProblem[] {
  try {
    readSettings(variables, '/somewhere');
  } catch (error) {
    if (error instanceof SettingsError) return [...error.problems];
    throw error;
  }
  return [];
}

describe('readSettings', () => {
  it('has the documented defaults', () => {
    expect(readSettings({}, '/somewhere')).toEqual({
      host: '127.0.0.1',
      port: 5000,
      dataDirectory: '/somewhere/.hotswap',
      databaseUrl: null,
      nodeCounts: { Development: 1, QA: 2, Staging: 2, Production: 5 },
      nodePortBase: 0,
      examples: true,
      apiToken: null,
      allowOpen: false,
      joinToken: null,
      otlpEndpoint: null,
      checkHosts: null,
      logLevel: 'info',
      unknownNames: [],
    });
  });

  it('counts an empty variable as not set', () => {
    expect(problemsOf({ PORT: '', HOST: ' ', DATABASE_URL: '', HOTSWAP_NODES_QA: '', LOG_LEVEL: '' })).toEqual([]);
  });

  it('has the examples only with the embedded database, unless asked otherwise', () => {
    const databaseUrl = 'postgres://hotswap@db/hotswap';
    expect(readSettings({ DATABASE_URL: databaseUrl }, '/')).toMatchObject({ databaseUrl, examples: false });
    expect(readSettings({ DATABASE_URL: databaseUrl, HOTSWAP_EXAMPLES: 'on' }, '/').examples).toBe(true);
    expect(readSettings({ HOTSWAP_EXAMPLES: 'OFF' }, '/').examples).toBe(false);
  });

  it.each<[string, NodeJS.ProcessEnv, string]>([
    ['no number', { PORT: '5000a' }, 'PORT'],
    ['port zero', { PORT: '0' }, 'PORT'],
    ['a port too high', { PORT: '65536' }, 'PORT'],
    ['a fraction of a node', { HOTSWAP_NODES_QA: '1.5' }, 'HOTSWAP_NODES_QA'],
    ['fewer than no nodes', { HOTSWAP_NODES_PRODUCTION: '-1' }, 'HOTSWAP_NODES_PRODUCTION'],
    ['too many nodes', { HOTSWAP_NODES_STAGING: '51' }, 'HOTSWAP_NODES_STAGING'],
    ['another database', { DATABASE_URL: 'mysql://root@db/x' }, 'DATABASE_URL'],
    ['no address', { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' }, 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    ['neither on nor off', { HOTSWAP_EXAMPLES: 'maybe' }, 'HOTSWAP_EXAMPLES'],
    ['a level that is none', { LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    ['a token with a line break', { HOTSWAP_API_TOKEN: 'sixteen-or-\r\nlonger' }, 'HOTSWAP_API_TOKEN'],
    ['a token too short', { HOTSWAP_JOIN_TOKEN: 'fifteen-letters' }, 'HOTSWAP_JOIN_TOKEN'],
    ['an unknown way of being open', { HOTSWAP_ALLOW_OPEN: 'yes' }, 'HOTSWAP_ALLOW_OPEN'],
    ['open to everybody', { HOST: '0.0.0.0' }, 'HOST'],
    ['PORT inside the nodes’ range', { PORT: '7305', HOTSWAP_NODE_PORT_BASE: '7301' }, 'PORT'],
    ['PORT at its end', { PORT: '7310', HOTSWAP_NODE_PORT_BASE: '7301' }, 'PORT'],
    ['a range beyond the last port', { HOTSWAP_NODE_PORT_BASE: '65530' }, 'HOTSWAP_NODE_PORT_BASE'],
  ])('refuses %s', (_what, variables, name) => {
    expect(problemsOf(variables).map((problem) => problem.name)).toEqual([name]);
  });

  it.each<[string, NodeJS.ProcessEnv]>([
    ['PORT right above the nodes’ range', { PORT: '7311', HOTSWAP_NODE_PORT_BASE: '7301' }],
    ['a range up to the last port', { HOTSWAP_NODE_PORT_BASE: '65526' }],
    ['another address with a token', { HOST: '0.0.0.0', HOTSWAP_API_TOKEN: 'sixteen-or-longer' }],
    ['another address of which only loopback is published', { HOST: '::', HOTSWAP_ALLOW_OPEN: 'loopback-published' }],
    ['another loopback address', { HOST: '127.0.0.2' }],
  ])('accepts %s', (_what, variables) => {
    expect(problemsOf(variables)).toEqual([]);
  });

  it('lists everything that is wrong at once, without secrets', () => {
    const variables = { PORT: 'x', DATABASE_URL: 'secret-but-no-url', HOTSWAP_JOIN_TOKEN: 'two words', LOG_LEVEL: '9' };
    expect(problemsOf(variables).map(({ name }) => name)).toEqual([
      'PORT',
      'DATABASE_URL',
      'HOTSWAP_JOIN_TOKEN',
      'LOG_LEVEL',
    ]);
    const message = new SettingsError(problemsOf(variables)).message;
    expect(message).toContain('PORT: "x" is not a whole number from 1 to 65535');
    expect(message).not.toMatch(/secret-but-no-url|two words/);
  });

  it('names variables that are likely misspelt', () => {
    expect(readSettings({ HOTSWAP_NODE_PRODUCTION: '3', HOTSWAP_NODES_QA: '3' }, '/').unknownNames).toEqual([
      'HOTSWAP_NODE_PRODUCTION',
    ]);
  });
});
