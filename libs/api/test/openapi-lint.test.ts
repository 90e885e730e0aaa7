import { expect, it } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { startApi } from './start-api.js';

it('Redocly finds nothing to say of the OpenAPI document', async () => {
  const api = await startApi();
  const source = await (await fetch(`${api.url}/openapi.json`)).text().finally(() => api.app.close());
  const config = await createConfig({ extends: ['recommended-strict'] });
  const found = await lintFromString({ source, absoluteRef: '/openapi.json', config });
  const lines = found.map(
    ({ severity, ruleId, message, location }) => `${severity} ${ruleId} ${location[0]?.pointer ?? ''}: ${message}`,
  );
  // Probes take nothing that could be wrong.
  const isOfProbe = (line: string) => line.startsWith('error operation-4xx-response #/paths/~1health');
  expect(lines.filter((line) => !isOfProbe(line))).toEqual([]);
  expect(lines).toHaveLength(3);
});
