import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const tried = 1000;
const atOnce = 10;

/**
 * Opens streams until one is refused because there are too many, for the caller to destroy. On a busy machine some may not be opened in time, and
 * others take their place.
 */
export async function fillStreams(url: string, path: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const open = async (): Promise<string> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    sockets.push(socket);
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n`);
    const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(30_000) })) as [Buffer];
    socket.on('error', () => undefined).resume();
    return chunk.toString();
  };
  try {
    while (sockets.length < tried) {
      const heads = await Promise.all(Array.from({ length: atOnce }, open));
      if (heads.some((head) => head.includes('"too-many-streams"'))) return sockets;
    }
    throw new Error(`${sockets.length} streams were opened, and none was refused`);
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  }
}
