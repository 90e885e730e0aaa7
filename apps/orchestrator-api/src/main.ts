import '@hotswap/module-kit/require-node';

// Telemetry first and alone: what it instruments must not be loaded before it.
await import('@hotswap/infrastructure/telemetry');
await import('./control-plane.js');
