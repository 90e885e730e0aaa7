import { problemTypes, type ProblemCode } from './problem-types.js';

/** Where in the request something is wrong: a JSON pointer into the body (`/canary/steps/0`), `?name` of the query, or a header's name. */
export interface FieldError {
  pointer: string;
  message: string;
}

/** RFC 9457 problem details, as `application/problem+json`. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ProblemCode;
  errors?: FieldError[];
  /** Of `deployment-in-progress`: link to the deployment in the way. */
  deployment?: string;
}

interface ProblemOptions {
  errors?: FieldError[];
  deployment?: string;
  headers?: Record<string, string>;
  cause?: unknown;
}

/** Thrown wherever a request can't be done; the filter answers with its document. */
export class Problem extends Error {
  override name = 'Problem';
  readonly headers: Record<string, string>;
  private readonly extensions: Pick<ProblemDocument, 'errors' | 'deployment'>;

  constructor(
    readonly code: ProblemCode,
    detail: string,
    { errors, deployment, headers = {}, cause }: ProblemOptions = {},
  ) {
    super(detail, { cause });
    this.headers = headers;
    this.extensions = { ...(errors && { errors }), ...(deployment && { deployment }) };
  }

  /** Fastify reads it where an error never reaches the filter. */
  get statusCode(): number {
    return problemTypes[this.code].status;
  }

  /** `path`: the request's, which becomes `instance`. */
  toDocument(path: string): ProblemDocument {
    const { status, title } = problemTypes[this.code];
    const type = `urn:hotswap:problem:${this.code}`;
    return { type, title, status, detail: this.message, instance: path, code: this.code, ...this.extensions };
  }

  static invalid(errors: FieldError[]): Problem {
    const detail = errors.map(({ pointer, message }) => (pointer ? `${pointer}: ${message}` : message)).join('; ');
    return new Problem('validation-failed', detail.slice(0, 2000), { errors });
  }
}
