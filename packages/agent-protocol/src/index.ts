export * from './document.js';
export * from './join.js';
export * from './report.js';
export * from './latency-buckets.js';
