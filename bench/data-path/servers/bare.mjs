// The measure of all others: what Node's own HTTP server does with the same answer: `PORT=… bare.mjs [DELAY]`, the delay in ms.
import { createServer } from 'node:http';

const body = JSON.stringify({
  module: 'payment-processor',
  version: '1.0.0',
  status: 'ok',
  currency: 'EUR',
  amount: 1250,
});
const length = String(Buffer.byteLength(body));
const port = Number(process.env.PORT ?? 0);
const delay = Number(process.argv[2] ?? 0) || 0;
const server = createServer((request, response) => {
  if (delay > 0) return setTimeout(respond, delay, response, body, length);
  if (request.method !== 'POST') return respond(response, body, length);
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const text = JSON.stringify({ bytes: Buffer.concat(pieces).length });
    respond(response, text, String(text.length));
  });
});

function respond(response, text, contentLength) {
  response.writeHead(200, ['content-type', 'application/json', 'content-length', contentLength]);
  response.end(text);
}

server.listen(port, '127.0.0.1', () => console.log(`port ${server.address().port}`));
