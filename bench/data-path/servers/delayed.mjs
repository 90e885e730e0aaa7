// As module.mjs, after 5 ms.
const answer = { module: 'payment-processor', version: '1.0.0', status: 'ok', currency: 'EUR', amount: 1250 };

export default {
  async fetch() {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return Response.json(answer);
  },
};
