/** What publishing takes. */
export interface Publication {
  /** Base URL of the API's server, such as http://localhost:5000. */
  url: URL;
  token: string | null;
  artifact: { fileName: string; bytes: Buffer };
  /** Sigstore bundles as JSON text. */
  bundles: string[];
  timeoutSeconds: number;
}

/** The server refused, or did not answer as it should; the message is for people and holds no token. */
export class PublishError extends Error {
  override readonly name = 'PublishError';
}

export interface Published {
  /** False: the server had exactly these bytes already. */
  isNew: boolean;
  name: string;
  version: string;
  digest: string;
  signers: string[];
}

/** Far above any answer of the API. */
const answerMaxBytes = 1024 * 1024;

/**
 * `POST {url}/api/v1/modules`.
 * @throws PublishError with the server's problem, or with why there was no answer
 */
export async function publishArtifact(publication: Publication): Promise<Published> {
  const target = new URL('api/v1/modules', directoryOf(publication.url));
  const form = new FormData();
  form.append(
    'artifact',
    new Blob([new Uint8Array(publication.artifact.bytes)], { type: 'application/gzip' }),
    publication.artifact.fileName,
  );
  for (const [index, bundle] of publication.bundles.entries()) {
    form.append('bundle', new Blob([bundle], { type: 'application/json' }), `bundle-${index + 1}.sigstore.json`);
  }
  const { status, text } = await exchange(target, form, publication);
  const answer = parseJson(text);
  if (status === 200 || status === 201) {
    if (!isPublished(answer))
      throw new PublishError(`${target.href} answered ${status}, but not with a published module.`);
    return { ...answer, isNew: status === 201 };
  }
  throw new PublishError(describeRefusal(target, status, answer));
}

async function exchange(
  target: URL,
  form: FormData,
  { token, timeoutSeconds }: Publication,
): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(target, {
      method: 'POST',
      body: form,
      headers: { accept: 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    });
    return { status: response.status, text: await readBounded(response) };
  } catch (error) {
    if (error instanceof PublishError) throw error;
    const { name, message, cause } = error as Error;
    const why =
      name === 'TimeoutError'
        ? `no answer within ${timeoutSeconds} s`
        : cause instanceof Error
          ? reasonOf(cause)
          : message;
    throw new PublishError(`${target.href} could not be reached: ${why}. Is the server running, and --url right?`);
  }
}

/** A refused connection to a name with several addresses is an AggregateError without a message. */
function reasonOf(cause: Error): string {
  return cause.message || (cause as NodeJS.ErrnoException).code || cause.name;
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > answerMaxBytes)
      throw new PublishError(`${response.url} answered with more than ${answerMaxBytes} bytes.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function describeRefusal(target: URL, status: number, answer: unknown): string {
  const problem = (answer ?? {}) as { title?: unknown; detail?: unknown; code?: unknown; errors?: unknown };
  const lines = [`${target.href} refused with ${status}${typeof problem.code === 'string' ? ` ${problem.code}` : ''}.`];
  const detail = [problem.detail, problem.title].find((text) => typeof text === 'string' && text !== '');
  if (detail !== undefined) lines.push(`  ${detail as string}`);
  if (Array.isArray(problem.errors)) {
    for (const { pointer, message } of problem.errors as { pointer?: unknown; message?: unknown }[]) {
      lines.push(`  ${String(pointer)}: ${String(message)}`);
    }
  }
  return printable(lines.join('\n'));
}

/** What a server sends has no business with the terminal's control sequences. */
function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n]/gu, '?');
}

function directoryOf(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.pathname}/`, url);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isPublished(answer: unknown): answer is Omit<Published, 'isNew'> {
  const { name, version, digest, signers } = (answer ?? {}) as Record<string, unknown>;
  return [name, version, digest].every((value) => typeof value === 'string') && Array.isArray(signers);
}
