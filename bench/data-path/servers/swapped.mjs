// The module of the swap drills: short and slow answers, bodies, and streams.
const answer = { module: 'payment-processor', version: '1.0.0', status: 'ok', currency: 'EUR', amount: 1250 };
const piece = new TextEncoder().encode('x'.repeat(4096));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default {
  async fetch(request) {
    if (request.method === 'POST') return Response.json({ bytes: (await request.arrayBuffer()).byteLength });
    if (request.url.endsWith('/stream')) return new Response(stream());
    if (request.url.endsWith('/slow')) await pause(5 + Math.random() * 45);
    return Response.json(answer);
  },
};

function stream() {
  let count = 0;
  return new ReadableStream({
    async pull(controller) {
      if (count++ < 16) controller.enqueue(piece);
      else controller.close();
      await pause(2);
    },
  });
}
