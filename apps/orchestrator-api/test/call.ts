/** What the tests look at of answers. */
export type Body = Record<string, unknown> & {
  id: string;
  items: Body[];
  stages: Body[];
  nodes: Body[];
  modules: Body[];
  errors?: { pointer: string; message: string }[];
};

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The JSON, or {} where it is none. */
  body: Body;
}

/** Calls of one server, with a JSON body or none. */
export function callsOf(url: string) {
  return async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = /json(;|$)/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : {}) as Body };
  };
}
