import { readFileSync } from 'node:fs';
import type { Config } from 'jest';

const swc = JSON.parse(readFileSync(new URL('.swcrc', import.meta.url), 'utf8')) as Record<string, unknown>;

const config: Config = {
  projects: [
    {
      displayName: 'fast',
      testMatch: ['<rootDir>/{libs,packages,apps}/*/test/**/*.test.ts'],
      ...shared(),
    },
    {
      displayName: 'e2e',
      testMatch: ['<rootDir>/e2e/**/*.test.ts'],
      ...shared(),
    },
  ],
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
    modulePathIgnorePatterns: ['<rootDir>/.*/dist/', '<rootDir>/.hotswap/'],
  };
}

export default config;
