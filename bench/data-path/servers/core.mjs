// The same piece of work again and again for ten seconds; tells how long it took each time, in ms, as one line of JSON. Run on one core with `taskset`.
const document = { name: 'payment-processor', amounts: [1250, 310, 99], nested: { currency: 'EUR', rate: 1.08 } };

function work() {
  const startedAt = performance.now();
  for (let turn = 0; turn < 5000; turn++) JSON.parse(JSON.stringify(document));
  return performance.now() - startedAt;
}

for (let turn = 0; turn < 50; turn++) work();
const taken = [];
const until = performance.now() + 10_000;
while (performance.now() < until) taken.push(work());
console.log(JSON.stringify(taken));
