import '@hotswap/module-kit/require-node';

await import('./launcher.js');
