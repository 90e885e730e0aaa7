import type { Type } from '@nestjs/common';
import { getSchemaPath } from '@nestjs/swagger';

/** How the OpenAPI document shows an operation that answers with a document, or streams what is in it. */
export function documentOrStream(document: Type) {
  return {
    'application/json': { schema: { $ref: getSchemaPath(document) } },
    'text/event-stream': { schema: { type: 'string' as const, description: 'Server-sent events; `data` is JSON.' } },
  };
}
