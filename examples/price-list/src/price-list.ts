import type { Module, ModuleEnv } from '@hotswap/module-kit';
import { Hono } from 'hono';
import { catalogue, findArticles } from './catalogue.js';
import { priceOf, readRates } from './price.js';

type Rates = Readonly<Record<string, number>>;

const queryLengthMax = 100;

/** A small shop's prices: `GET /prices?q=&currency=`, `GET /prices/:sku?currency=`, `GET /currencies`, `GET /version`, `GET /health`. */
export function priceList(): Module {
  let rates: Rates = readRates(undefined);
  const app = new Hono<{ Bindings: ModuleEnv }>();

  app.get('/version', ({ env, json }) => json({ module: env.module, version: env.version }));
  app.get('/health', ({ json }) => json({ status: 'healthy' }));
  app.get('/currencies', ({ json }) => json({ items: Object.keys(rates).sort() }));

  app.get('/prices', ({ req, json }) => {
    const text = req.query('q') ?? '';
    if (text.length > queryLengthMax) {
      return json(
        { status: 400, code: 'validation-failed', detail: `q has at most ${queryLengthMax} characters.` },
        400,
      );
    }
    const currency = currencyOf(req.query('currency'), rates);
    if (currency === null) return json(unknownCurrency(rates), 400);
    return json({ items: findArticles(text.trim()).map((article) => priceOf(article, currency.code, currency.rate)) });
  });

  app.get('/prices/:sku', ({ req, json }) => {
    const article = catalogue.find(({ sku }) => sku === req.param('sku'));
    if (article === undefined)
      return json({ status: 404, code: 'not-found', detail: 'There is no such article.' }, 404);
    const currency = currencyOf(req.query('currency'), rates);
    if (currency === null) return json(unknownCurrency(rates), 400);
    return json(priceOf(article, currency.code, currency.rate));
  });

  app.notFound(({ req, json }) =>
    json({ status: 404, code: 'not-found', detail: `There is nothing at ${req.path}.` }, 404),
  );

  return {
    start(env) {
      rates = readRates(env['rates']);
    },
    fetch: (request, env) => app.fetch(request, env),
  };
}

function currencyOf(text: string | undefined, rates: Rates): { code: string; rate: number } | null {
  const code = (text ?? 'EUR').toUpperCase();
  const rate = Object.hasOwn(rates, code) ? rates[code] : undefined;
  return rate === undefined ? null : { code, rate };
}

function unknownCurrency(rates: Rates) {
  const detail = `currency must be one of ${Object.keys(rates).sort().join(', ')}.`;
  return { status: 400, code: 'validation-failed', detail };
}
