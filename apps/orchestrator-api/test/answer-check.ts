import { Ajv2020, type AnySchemaObject, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

type Json = Record<string, unknown>;

interface OperationObject {
  responses: Record<string, { content?: Record<string, { schema: AnySchemaObject }>; headers?: Json }>;
}

interface Operation {
  /** As in `GET /api/v1/deployments/{id}`. */
  name: string;
  method: string;
  path: RegExp;
  object: OperationObject;
}

export interface Answered {
  status: number;
  headers: Headers;
  text: string;
}

/**
 * Holds live answers against an OpenAPI document: the status and the content type have to be documented, documented headers sent, and the body
 * has to be what the schema says, without a field that it does not name.
 */
export class AnswerCheck {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly operations: Operation[];
  private readonly validators = new Map<AnySchemaObject, ValidateFunction>();
  private readonly seen = new Map<string, Set<number>>();

  constructor(document: { paths: Record<string, Record<string, OperationObject>>; components: Json }) {
    formats.default(this.ajv);
    const { paths, components } = structuredClone(document);
    const schemas = components['schemas'] as Record<string, AnySchemaObject>;
    for (const schema of Object.values(schemas)) close(schema);
    this.ajv.addSchema({ $id: 'openapi:document', components });
    this.operations = Object.entries(paths).flatMap(([path, byMethod]) =>
      Object.entries(byMethod).map(([method, object]) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`),
        object,
      })),
    );
  }

  /** Throws an Error that says what of the answer is not documented. */
  check(method: string, url: string, { status, headers, text }: Answered): void {
    const path = url.split('?', 1)[0]!;
    const operation = this.operations.find((each) => each.method === method && each.path.test(path));
    if (!operation) throw new Error(`${method} ${path} is no operation of the document`);
    const fail = (what: string) => {
      throw new Error(`${method} ${url} answered ${status}: ${what}: ${text.slice(0, 2000)}`);
    };
    const response = operation.object.responses[String(status)];
    if (!response) return fail('this status is not documented');
    for (const name of Object.keys(response.headers ?? {})) if (!headers.has(name)) fail(`without the header ${name}`);
    const type = headers.get('content-type')?.split(';', 1)[0] ?? null;
    const content = response.content ?? {};
    if (type === null) {
      if (Object.keys(content).length > 0 || text !== '') fail('without a content type');
    } else if (!content[type]) fail(`the content type ${type} is not documented`);
    else if (/json$/.test(type)) {
      const validate = this.validatorOf(content[type].schema);
      if (!validate(JSON.parse(text))) fail(this.ajv.errorsText(validate.errors, { separator: '; ' }));
    }
    this.seen.set(operation.name, (this.seen.get(operation.name) ?? new Set()).add(status));
  }

  /** Operations of which no answer of this kind was held against the document. */
  unseen(kind: 'success' | 'problem'): string[] {
    const isOfKind = (status: number) => (kind === 'success' ? status < 400 : status >= 400);
    return this.operations
      .map(({ name }) => name)
      .filter((name) => ![...(this.seen.get(name) ?? [])].some(isOfKind))
      .sort();
  }

  private validatorOf(schema: AnySchemaObject): ValidateFunction {
    const known = this.validators.get(schema);
    if (known) return known;
    const closed = JSON.parse(
      JSON.stringify(close(structuredClone(schema))).replaceAll('"#/components/', '"openapi:document#/components/'),
    ) as AnySchemaObject;
    const validate = this.ajv.compile(closed);
    this.validators.set(schema, validate);
    return validate;
  }
}

/** Lets no object have a field that its schema does not name, unless the schema says that it may. Changes and answers the schema. */
function close(schema: AnySchemaObject): AnySchemaObject {
  const properties = schema['properties'] as Record<string, AnySchemaObject> | undefined;
  if (properties && schema['additionalProperties'] === undefined) schema['additionalProperties'] = false;
  const parts = [
    ...Object.values(properties ?? {}),
    ...['items', 'additionalProperties'].map((name) => schema[name] as unknown),
    ...['allOf', 'anyOf', 'oneOf'].flatMap((name) => (schema[name] ?? []) as unknown[]),
  ];
  for (const part of parts) if (typeof part === 'object' && part !== null) close(part);
  return schema;
}
