import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApi, type RunningApi } from './start-api.js';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  responses: Record<string, { description: string; content?: Record<string, { schema: unknown; examples?: object }> }>;
}

let api: RunningApi;
let document: {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
  tags: { name: string }[];
};
beforeAll(async () => {
  api = await startApi();
  document = (await (await fetch(`${api.url}/openapi.json`)).json()) as typeof document;
});
afterAll(() => api.app.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );

describe('the OpenAPI document', () => {
  it('is 3.1 and names exactly what is built', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(
      operations()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      'DELETE /api/v1/clusters/{environment}/modules/{name}',
      'DELETE /api/v1/nodes/{id}',
      'GET /api/v1/approvals',
      'GET /api/v1/artifacts/{digest}',
      'GET /api/v1/clusters',
      'GET /api/v1/clusters/{environment}',
      'GET /api/v1/clusters/{environment}/detection',
      'GET /api/v1/clusters/{environment}/metrics',
      'GET /api/v1/clusters/{environment}/policy',
      'GET /api/v1/deployments',
      'GET /api/v1/deployments/{id}',
      'GET /api/v1/deployments/{id}/analysis',
      'GET /api/v1/deployments/{id}/events',
      'GET /api/v1/deployments/{id}/explanation',
      'GET /api/v1/deployments/{id}/recording',
      'GET /api/v1/modules',
      'GET /api/v1/modules/{name}',
      'GET /api/v1/modules/{name}/configuration/{environment}',
      'GET /api/v1/modules/{name}/versions/{version}',
      'GET /api/v1/nodes/{id}',
      'GET /health',
      'GET /health/live',
      'GET /health/ready',
      'GET /metrics',
      'POST /api/v1/deployments',
      'POST /api/v1/deployments/{id}/approve',
      'POST /api/v1/deployments/{id}/cancel',
      'POST /api/v1/deployments/{id}/pause',
      'POST /api/v1/deployments/{id}/promote',
      'POST /api/v1/deployments/{id}/reject',
      'POST /api/v1/deployments/{id}/replay',
      'POST /api/v1/deployments/{id}/resume',
      'POST /api/v1/deployments/{id}/retry',
      'POST /api/v1/deployments/{id}/rollback',
      'POST /api/v1/modules',
      'POST /api/v1/modules/{name}/versions/{version}/withdraw',
      'POST /api/v1/nodes/{id}/drain',
      'PUT /api/v1/clusters/{environment}/policy',
      'PUT /api/v1/modules/{name}/configuration/{environment}',
    ]);
  });

  it('gives every operation an id of its own, a summary and a known tag', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = document.tags.map(({ name }) => name);
    for (const { name, operation } of operations()) {
      expect([name, operation.summary]).toEqual([name, expect.stringMatching(/^[A-Z].{8,}[^.]$/)]);
      expect(tags).toContain(operation.tags[0]);
      expect(operation.tags).toHaveLength(1);
    }
  });

  it('describes every error as a problem with examples', () => {
    const problems = operations()
      .filter(({ name }) => name.includes('/api/v1'))
      .flatMap(({ operation }) => Object.entries(operation.responses))
      .filter(([status]) => Number(status) >= 400);
    expect(problems.length).toBeGreaterThan(100);
    for (const [, { content }] of problems) {
      expect(Object.keys(content ?? {})).toEqual(['application/problem+json']);
      const { schema, examples } = content!['application/problem+json']!;
      expect(schema).toEqual({ $ref: '#/components/schemas/Problem' });
      expect(Object.keys(examples ?? {}).length).toBeGreaterThan(0);
    }
  });

  it('has no reference that leads nowhere, and nothing of 3.0', () => {
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!);
    expect(references.length).toBeGreaterThan(50);
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining([...new Set(references)]));
    expect(text).not.toContain('"nullable"');
    expect(text).not.toMatch(/"exclusiveMinimum":(true|false)/);
  });
});

it('Swagger UI is served at / with all that it loads', async () => {
  const page = await (await fetch(api.url)).text();
  const assets = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
  expect(assets).toContain('/swagger-ui/swagger-ui-bundle.js');
  for (const asset of assets) {
    const response = await fetch(api.url + asset);
    expect([asset, response.status]).toEqual([asset, 200]);
    expect((await response.text()).length).toBeGreaterThan(100);
  }
});
