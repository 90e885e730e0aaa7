// Compiles every workspace's src to its dist, file by file, and bundles the examples; both only where something is older
// than its source: a second run costs milliseconds, so `npm start` and `npm test` can always call it.
import { transformFile } from '@swc/core';
import { globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildExamples } from '../examples/build.mjs';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 11)) {
  console.error(
    `HotSwap needs Node.js 24.11 or newer; this is ${process.version}. Run it by "npm start" after "npm ci", which brings one.`,
  );
  process.exit(1);
}

const root = join(import.meta.dirname, '..');
const configuration = join(root, '.swcrc');
const newestInput = Math.max(modifiedAt(configuration), modifiedAt(import.meta.filename));
const sources = globSync('{apps,libs,packages}/*/src/**/*', { cwd: root, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));

const wanted = new Set();
const stale = [];
for (const source of sources) {
  const target = source.replace('/src/', '/dist/').replace(/\.ts$/, '.js');
  wanted.add(target);
  if (modifiedAt(target) < Math.max(modifiedAt(source), newestInput)) stale.push({ source, target });
}
await Promise.all([...stale.map(compile), buildExamples()]);
for (const entry of globSync('{apps,libs,packages}/*/dist/**/*', { cwd: root, withFileTypes: true })) {
  const file = join(entry.parentPath, entry.name);
  if (entry.isFile() && !wanted.has(file)) rmSync(file);
}

async function compile({ source, target }) {
  mkdirSync(dirname(target), { recursive: true });
  const output = source.endsWith('.ts')
    ? (await transformFile(source, { configFile: configuration })).code
    : readFileSync(source);
  writeFileSync(target, output);
}

function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
