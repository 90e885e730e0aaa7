import { environments, type EnvironmentName } from '@hotswap/agent-protocol';

/** What the banner tells: all addresses as people type them. */
export interface BannerContent {
  apiUrl: string;
  needsToken: boolean;
  dataDirectory: string;
  logFolder: string;
  /** May hold a password, which is not shown. */
  databaseUrl: string;
  databaseFolder: string | null;
  nodeAddresses: Record<EnvironmentName, string[]>;
  examples: boolean;
}

/** Where things are and what to try first, printed once the API serves. */
export function formatBanner(content: BannerContent): string {
  const { apiUrl } = content;
  const nodes = environments.map((environment) =>
    row(`  ${environment}`, content.nodeAddresses[environment].join(' ') || 'none'),
  );
  const lines = [
    '',
    `HotSwap is ready: ${apiUrl}`,
    '',
    row('API', `${apiUrl}/api/v1, with documentation to try it at ${apiUrl}/`),
    row(
      'Database',
      `${withoutPassword(content.databaseUrl)}${content.databaseFolder === null ? '' : `, files in ${content.databaseFolder}`}`,
    ),
    row('Data', content.dataDirectory),
    row('Logs', `${content.logFolder}/*.log`),
    'Kernel nodes',
    ...nodes,
    '',
  ];
  if (content.examples) lines.push(...tryIt(content));
  lines.push('Ctrl-C ends it all; the next npm start goes on where it was.', '');
  return `${lines.join('\n')}\n`;
}

function tryIt({ apiUrl, needsToken, nodeAddresses }: BannerContent): string[] {
  const authorization = needsToken ? [`  -H "authorization: Bearer $HOTSWAP_API_TOKEN" \\`] : [];
  const node = nodeAddresses.Production[0];
  return [
    'Try it, once the clusters below are Healthy:',
    '',
    `  curl -X POST ${apiUrl}/api/v1/deployments -H 'content-type: application/json' \\`,
    ...authorization.map((line) => `  ${line}`),
    `    -d '{"moduleName":"payment-processor","version":"2.1.0","targetEnvironment":"Production","requesterEmail":"user@example.com"}'`,
    ...(node === undefined ? [] : [`  curl ${node}/payment-processor/version`]),
    '',
  ];
}

/** The URL as it may be shown: neither a password nor query parameters, which can hold one. */
export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.password = '';
  url.search = '';
  return url.href;
}

function row(name: string, text: string): string {
  return `${name.padEnd(15)}${text}`;
}
