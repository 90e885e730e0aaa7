import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';

const description = `Deploys signed modules to clusters of long-running nodes, watches what they do to real requests, and takes bad ones back.

Times are ISO 8601 UTC with milliseconds. Enumerations are read case-insensitively. Unknown fields and query parameters are refused.
Errors are RFC 9457 problem details with a stable \`code\`. Lists answer \`items\` and \`nextCursor\`.

What is no request of an operation here is answered 400 \`malformed-request\`, 404 \`not-found\`, 405 \`method-not-allowed\` (with \`Allow\`), 414 \`uri-too-long\` or 431
\`headers-too-large\`; an operation that takes too long, 503 \`deadline-exceeded\`.`;

/** The OpenAPI 3.1 document of what is built; `apiToken`: calls need a bearer token. */
export function createOpenApiDocument(app: INestApplication, { needsToken }: { needsToken: boolean }): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('HotSwap')
    .setDescription(description)
    .setVersion('1.0.0')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/', 'This server')
    .addTag('Deployments', 'What users ask for: this module, this version, up to this environment.')
    .addTag('Modules', 'Published, signed, immutable versions.')
    .addTag('Clusters', 'Environments, their nodes, what they measured, and their policy.')
    .addTag('Health', 'For probes and Prometheus.')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'HOTSWAP_API_TOKEN, where it is set.' }, 'token')
    .addSecurityRequirements('token');
  const document = SwaggerModule.createDocument(app, builder.build(), { autoTagControllers: false });
  // Without a token in force the scheme is still named, but nothing is asked for.
  return needsToken ? document : { ...document, security: [{}, { token: [] }] };
}
