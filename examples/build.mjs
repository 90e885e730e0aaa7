// Makes a package that is ready to be packed of every version of every example:
// <example>/src/versions/<version>/{module.ts,package.json} -> <example>/dist/<version>/{dist/module.js,package.json}.
// Only what is older than its sources is made, so that a second run costs milliseconds.
import { copyFileSync, globSync, mkdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const here = import.meta.dirname;

/** Brings every example's dist up to date. */
export async function buildExamples() {
  const versions = globSync('*/src/versions/*/module.ts', { cwd: here }).map((entry) => {
    const source = dirname(join(here, entry));
    const example = join(source, '..', '..', '..');
    return { source, example, target: join(example, 'dist', basename(source)) };
  });
  removeOthers(versions.map(({ target }) => target));
  const stale = versions.filter(({ example, target }) => modifiedAt(bundleOf(target)) < newestInput(example));
  if (stale.length === 0) return;
  const { build } = await import('esbuild');
  await Promise.all(stale.map((version) => bundle(version, build)));
}

async function bundle({ source, target }, build) {
  const startedAt = new Date();
  mkdirSync(target, { recursive: true });
  copyFileSync(join(source, 'package.json'), join(target, 'package.json'));
  await build({
    entryPoints: [join(source, 'module.ts')],
    outfile: bundleOf(target),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Paths in the bundle's comments are relative to this, so the bytes do not depend on where the build was started.
    absWorkingDir: here,
    logLevel: 'warning',
  });
  // A source that is saved while its bundle is made has to count as newer.
  utimesSync(bundleOf(target), startedAt, startedAt);
}

/** Takes away what no version stands for any more: the launcher publishes all it finds. */
function removeOthers(targets) {
  for (const folder of globSync('*/dist/*', { cwd: here })) {
    if (!targets.includes(join(here, folder))) rmSync(join(here, folder), { recursive: true });
  }
}

function newestInput(example) {
  const lockFile = join(here, '..', 'package-lock.json');
  const sources = globSync('src/**/*', { cwd: example }).map((file) => join(example, file));
  return Math.max(...[...sources, lockFile, import.meta.filename].map(modifiedAt));
}

function bundleOf(target) {
  return join(target, 'dist', 'module.js');
}

function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
