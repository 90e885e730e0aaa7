/** Something for sale; `cents` is its price in EUR cents. */
export interface Article {
  sku: string;
  name: string;
  cents: number;
}

export const catalogue: readonly Article[] = [
  { sku: 'bean-house-250', name: 'House blend, whole bean, 250 g', cents: 890 },
  { sku: 'bean-house-1000', name: 'House blend, whole bean, 1 kg', cents: 2990 },
  { sku: 'bean-decaf-250', name: 'Decaf, whole bean, 250 g', cents: 990 },
  { sku: 'filter-paper-100', name: 'Filter papers, 100 pieces', cents: 450 },
  { sku: 'grinder-hand', name: 'Hand grinder, steel burrs', cents: 11900 },
  { sku: 'kettle-swan', name: 'Swan-neck kettle, 0.8 l', cents: 6450 },
  { sku: 'mug-300', name: 'Mug, stoneware, 300 ml', cents: 1490 },
  { sku: 'press-1000', name: 'French press, 1 l', cents: 3950 },
  { sku: 'scale-2000', name: 'Scale with timer, 2 kg', cents: 4900 },
  { sku: 'tea-sencha-100', name: 'Sencha, loose leaf, 100 g', cents: 1290 },
];

/** Articles whose name or sku has all the words, in any order and case; all of them for no words. */
export function findArticles(text: string): Article[] {
  const words = text.toLowerCase().split(/\s+/);
  return catalogue.filter(({ sku, name }) => {
    const label = `${sku} ${name}`.toLowerCase();
    return words.every((word) => label.includes(word));
  });
}
