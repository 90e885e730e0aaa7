export interface ServerEvent {
  type: string;
  data: string;
}

/**
 * Parses a stream of server-sent events. `onChunk` is called for whatever arrives, comments included. Throws where one event is larger than
 * `eventCharactersMax`.
 */
export async function* readServerEvents(
  body: AsyncIterable<Uint8Array>,
  eventCharactersMax: number,
  onChunk: () => void,
): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let type = 'message';
  let data: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    onChunk();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n/);
    rest = lines.pop() ?? '';
    if (size + rest.length > eventCharactersMax) throw tooLarge(eventCharactersMax);
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { type, data: data.join('\n') };
        type = 'message';
        data = [];
        size = 0;
        continue;
      }
      const [field, value] = parseLine(line);
      if (field === 'event') type = value;
      if (field !== 'data') continue;
      data.push(value);
      size += value.length;
      if (size > eventCharactersMax) throw tooLarge(eventCharactersMax);
    }
  }
}

function parseLine(line: string): [field: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)];
}

function tooLarge(max: number): Error {
  return new Error(`the stream sent an event of more than ${max} characters`);
}
