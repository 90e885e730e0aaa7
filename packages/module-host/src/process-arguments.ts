import { fileURLToPath } from 'node:url';
import type { Shape } from './enclosure.js';

const packageUrl = new URL('../', import.meta.url);

/** The compiled program that an instance runs; the same from src and from dist. */
export const instanceProgram = fileURLToPath(new URL('dist/instance-main.js', packageUrl));

/** The same as a worker thread's. */
export const threadProgram = new URL('dist/thread-main.js', packageUrl);

/** All that the program itself reads. */
const programFiles = ['package.json', 'dist/instance-main.js', 'dist/instance', 'dist/wire'].map((path) =>
  fileURLToPath(new URL(path, packageUrl)),
);

/** Node's arguments for an instance: its heap, and what it may touch beside the files in its folder, which has to be there. Node before 25 knows no `--allow-net` and leaves the network open. */
export function processArguments({ permissions, memoryMiB }: Shape, directory: string): string[] {
  const readable = [...programFiles, directory, ...permissions.fileRead];
  return [
    `--max-old-space-size=${memoryMiB}`,
    // A small young generation: the collector's pauses, not the hop between processes, make the slowest answers.
    '--max-semi-space-size=4',
    '--disable-warning=SecurityWarning',
    '--disable-warning=ExperimentalWarning',
    '--permission',
    ...readable.map((path) => `--allow-fs-read=${path}`),
    ...permissions.fileWrite.map((path) => `--allow-fs-write=${path}`),
    ...(permissions.childProcess ? ['--allow-child-process'] : []),
    ...(permissions.network && process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : []),
    instanceProgram,
  ];
}

/** Bytes of memory beyond which an instance is ended: its heap, as much again outside of it (buffers, wasm), and Node itself. */
export function rssBytesMax(limits: { memoryMiB: number }): number {
  return (2 * limits.memoryMiB + 96) * 1024 * 1024;
}
