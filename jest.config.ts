import { readFileSync } from 'node:fs';
import type { Config } from 'jest';

const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8')) as Record<string, unknown>;

const config: Config = {
  projects: [
    {
      displayName: 'fast',
      testMatch: ['<rootDir>/{libs,packages,apps,examples}/*/test/**/*.test.ts'],
      globalSetup: '<rootDir>/tools/jest-postgres.mjs',
      globalTeardown: '<rootDir>/tools/jest-postgres-stop.mjs',
      ...shared(),
    },
    {
      displayName: 'e2e',
      testMatch: ['<rootDir>/e2e/*.test.ts'],
      ...endToEnd(),
    },
    {
      displayName: 'analysis',
      testMatch: ['<rootDir>/e2e/analysis/*.test.ts'],
      ...endToEnd(),
    },
    {
      displayName: 'kills',
      testMatch: ['<rootDir>/e2e/kills/*.test.ts'],
      ...endToEnd(),
    },
    {
      displayName: 'drills',
      testMatch: ['<rootDir>/e2e/drills/*.test.ts'],
      ...endToEnd(),
    },
  ],
  testSequencer: '<rootDir>/tools/jest-sequencer.mjs',
  // What failed is told again at the end, where one looks first.
  reporters: ['default', ['summary', { summaryThreshold: 1 }]],
  maxWorkers: 2,
  testTimeout: 60_000,
};

function shared() {
  return {
    testEnvironment: 'node',
    extensionsToTreatAsEsm: ['.ts'],
    transform: { '^.+\\.ts$': ['@swc/jest', swc] as [string, Record<string, unknown>] },
    moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
    testEnvironmentOptions: { customExportConditions: ['@hotswap/source', 'node', 'node-addons'] },
    setupFiles: ['<rootDir>/tools/jest-setup.ts'],
    // The versions of an example share one package name, which Jest would warn of.
    modulePathIgnorePatterns: [
      '<rootDir>/.*/dist/',
      '<rootDir>/.hotswap/',
      '<rootDir>/examples/.*/versions/.*/package.json$',
    ],
  };
}

/** Where processes are started and waited for. */
function endToEnd() {
  return { ...shared(), setupFilesAfterEnv: ['<rootDir>/e2e/support/time-limit.ts'] };
}

export default config;
