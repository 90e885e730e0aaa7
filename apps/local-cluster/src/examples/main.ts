import '@hotswap/module-kit/require-node';

await import('./command-line.js');
