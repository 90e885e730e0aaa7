// The same answers from Node's own HTTP server, for peers that reload a whole server: `PORT=… swapped-server.mjs`.
import { createServer } from 'node:http';

const answer = { module: 'payment-processor', version: '1.0.0', status: 'ok', currency: 'EUR', amount: 1250 };
const piece = 'x'.repeat(4096);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function create() {
  return createServer(async (request, response) => {
    if (request.method === 'POST') {
      let bytes = 0;
      for await (const chunk of request) bytes += chunk.length;
      return json(response, { bytes });
    }
    if (request.url.endsWith('/stream')) {
      for (let count = 0; count < 16; count++) {
        response.write(piece);
        await pause(2);
      }
      return response.end();
    }
    if (request.url.endsWith('/slow')) await pause(5 + Math.random() * 45);
    json(response, answer);
  });
}

function json(response, value) {
  const text = JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  response.end(text);
}

const port = Number(process.env.PORT ?? 0);
if (port > 0) {
  const server = create().listen(port, '127.0.0.1', () => process.send?.('ready'));
  // As PM2's documentation has it for a graceful reload.
  process.on('SIGINT', () => server.close(() => process.exit(0)));
}
