// Who may import whom. Arrows: apps -> {api, infrastructure} -> orchestrator -> domain; kernel-node and local-cluster -> packages only.
/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'domain-imports-nothing',
      severity: 'error',
      from: { path: '^libs/domain/src' },
      to: { pathNot: '^libs/domain/src' },
    },
    {
      name: 'orchestrator-below-api-and-infrastructure',
      severity: 'error',
      from: { path: '^libs/orchestrator/src' },
      to: { path: '^(libs/(api|infrastructure)|apps|node_modules/(typeorm|pg|fastify))' },
    },
    {
      name: 'api-and-infrastructure-are-neighbours',
      severity: 'error',
      from: { path: '^libs/(api|infrastructure)/src' },
      to: { path: '^libs/(api|infrastructure)/', pathNot: '^libs/$1/' },
    },
    {
      name: 'api-knows-no-database',
      severity: 'error',
      from: { path: '^libs/api/src' },
      to: { path: 'node_modules/(typeorm|pg|@nestjs/typeorm)/' },
    },
    {
      name: 'nobody-imports-apps',
      severity: 'error',
      from: { path: '^(libs|packages|examples)' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-stand-alone',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'node-and-launcher-use-packages-only',
      severity: 'error',
      from: { path: '^apps/(kernel-node|local-cluster)/src' },
      to: { path: '^libs/' },
    },
    {
      name: 'packages-do-not-import-libs',
      severity: 'error',
      from: { path: '^packages/', pathNot: '^packages/simulation/' },
      to: { path: '^libs/' },
    },
    {
      name: 'nobody-imports-the-simulation',
      severity: 'error',
      from: { pathNot: '^packages/simulation/' },
      to: { path: '^packages/simulation/' },
    },
    {
      name: 'host-has-no-http-server',
      severity: 'error',
      from: { path: '^packages/module-host/src' },
      to: { path: '^(node_modules/@nestjs|http$|node:http$)' },
    },
    {
      name: 'no-development-dependency-in-product',
      severity: 'error',
      from: { path: '^(apps|libs|packages)/[^/]+/src' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.base.json' },
    tsPreCompilationDeps: true,
    exclude: { path: '(^|/)(dist|coverage)/' },
    doNotFollow: { path: 'node_modules/(?!@hotswap)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@hotswap/source', 'import', 'node', 'default'],
    },
  },
};
