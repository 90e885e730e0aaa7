import { load, type LoadOptions } from './load.js';

// The client as a process of its own: `load-process.js OPTIONS` prints the result.
console.log(JSON.stringify(await load(JSON.parse(process.argv[2] ?? '') as LoadOptions)));
