import '@hotswap/module-kit/require-node';

await import('./node-process.js');
