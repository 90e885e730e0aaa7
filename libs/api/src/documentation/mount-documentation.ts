import { SwaggerModule } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiSettings } from '../api-settings.js';
import { createOpenApiDocument } from './openapi-document.js';

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HotSwap API: Swagger UI</title>
<link rel="icon" type="image/png" href="/swagger-ui/favicon-32x32.png">
<link rel="stylesheet" href="/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/swagger-ui/swagger-ui-standalone-preset.js"></script>
<script src="/swagger-ui/swagger-ui-init.js"></script>
</body>
</html>
`;

/** Serves the OpenAPI document at `/openapi.json` and Swagger UI, with all its assets, from this process at `/`. */
export function mountDocumentation(app: NestFastifyApplication): void {
  const { apiToken } = app.get(ApiSettings);
  const document = createOpenApiDocument(app, { needsToken: apiToken !== null });
  const text = JSON.stringify(document);
  const server = app.getHttpAdapter().getInstance();
  server.get('/openapi.json', (_request, reply) =>
    reply.header('content-type', 'application/json; charset=utf-8').send(text),
  );
  server.get('/', (_request, reply) => reply.header('content-type', 'text/html; charset=utf-8').send(page));
  SwaggerModule.setup('swagger-ui', app, document, { raw: false });
}
