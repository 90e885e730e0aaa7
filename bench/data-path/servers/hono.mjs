import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
app.get('*', (c) =>
  c.json({ module: 'payment-processor', version: '1.0.0', status: 'ok', currency: 'EUR', amount: 1250 }),
);
app.post('*', async (c) => c.json({ bytes: (await c.req.arrayBuffer()).byteLength }));
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(`port ${port}`));
