import { describe, expect, it } from '@jest/globals';
import { catalogue } from '../src/catalogue.js';
import { priceList } from '../src/price-list.js';
import module from '../src/versions/1.0.0/module.js';

const env = { environment: 'QA', module: 'price-list', version: '1.0.0', node: 'n1' };

/** The members that tests read, of all answers. */
interface Answer {
  items: { sku: string }[];
  amount: string;
}

async function get(path: string, from = module) {
  const response = await from.fetch(new Request(`http://module${path}`), env, { waitUntil: () => undefined });
  return { status: response.status, json: (await response.json()) as Answer };
}
const skusOf = async (path: string) => (await get(path)).json.items.map(({ sku }) => sku);

describe('price-list', () => {
  it('lists every price in EUR where no currency is asked for', async () => {
    const { status, json } = await get('/prices');
    expect(status).toBe(200);
    expect(json.items).toHaveLength(catalogue.length);
    expect(json.items[0]).toEqual({
      sku: 'bean-house-250',
      name: 'House blend, whole bean, 250 g',
      currency: 'EUR',
      amount: '8.90',
    });
  });

  it('finds articles by all words of their names', async () => {
    expect(await skusOf('/prices?q=blend%20HOUSE')).toEqual(['bean-house-250', 'bean-house-1000']);
    expect(await skusOf('/prices?q=mug')).toEqual(['mug-300']);
    expect(await skusOf('/prices?q=bicycle')).toEqual([]);
    expect(await get(`/prices?q=${'x'.repeat(101)}`)).toMatchObject({
      status: 400,
      json: { code: 'validation-failed' },
    });
  });

  it('converts, with the digits that the currency has', async () => {
    expect((await get('/prices/mug-300?currency=usd')).json).toMatchObject({ currency: 'USD', amount: '17.28' });
    expect((await get('/prices/mug-300?currency=JPY')).json).toMatchObject({ currency: 'JPY', amount: '2682' });
    expect((await get('/currencies')).json).toEqual({ items: ['CHF', 'EUR', 'GBP', 'JPY', 'USD'] });
  });

  it('refuses currencies and articles that it does not have', async () => {
    for (const path of ['/prices', '/prices/mug-300']) {
      expect(await get(`${path}?currency=constructor`)).toMatchObject({
        status: 400,
        json: { code: 'validation-failed' },
      });
    }
    expect(await get('/prices/bicycle')).toMatchObject({ status: 404, json: { code: 'not-found' } });
    expect(await get('/nowhere')).toMatchObject({ status: 404, json: { code: 'not-found' } });
  });

  it('says its version and health', async () => {
    expect(await get('/version')).toEqual({ status: 200, json: { module: 'price-list', version: '1.0.0' } });
    expect(await get('/health')).toEqual({ status: 200, json: { status: 'healthy' } });
  });

  it('takes rates from its configuration', async () => {
    const configured = priceList();
    await configured.start!({ ...env, rates: { USD: 2 } });
    expect((await get('/prices/mug-300?currency=USD', configured)).json.amount).toBe('29.80');
    expect((await get('/currencies', configured)).json).toEqual({ items: ['EUR', 'USD'] });
  });

  it.each([[[]], ['USD'], [{ USD: '2' }], [{ USD: 0 }], [{ dollar: 2 }]])(
    'does not start with the rates %j',
    (rates) => {
      expect(() => priceList().start!({ ...env, rates })).toThrow('Configuration: rates');
    },
  );
});
