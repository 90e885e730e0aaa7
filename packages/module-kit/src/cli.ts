import './require-node.js';

await import('./command-line.js');
