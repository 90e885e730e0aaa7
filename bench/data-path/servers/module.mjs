// The same answer as a module gives it.
const answer = { module: 'payment-processor', version: '1.0.0', status: 'ok', currency: 'EUR', amount: 1250 };

export default {
  async fetch(request) {
    if (request.method !== 'POST') return Response.json(answer);
    return Response.json({ bytes: (await request.arrayBuffer()).byteLength });
  },
};
