import { gzipSync } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { pack, type Header } from 'tar-stream';

export type Entry = Partial<Header> & { name: string; content?: string | Buffer };

/** The least package.json that is a module's, with changes. */
export function packageJson(changes: Record<string, unknown> = {}, manifest: Record<string, unknown> = {}) {
  return {
    name: 'greeter',
    version: '1.2.3',
    type: 'module',
    hotswap: { manifest: 1, entry: 'dist/module.js', kernel: '^1.0.0', ...manifest },
    ...changes,
  };
}

export const moduleSource = `export default { fetch: () => new Response('hello') };\n`;

/** The two entries every artifact has. */
export function entries(json: unknown = packageJson()): Entry[] {
  return [
    { name: 'package/package.json', content: JSON.stringify(json) },
    { name: 'package/dist/module.js', content: moduleSource },
  ];
}

export async function tarOf(list: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  const packed = buffer(tar);
  for (const { content, ...header } of list) {
    if (content === undefined) tar.entry(header).end(null);
    else tar.entry(header, content);
  }
  tar.finalize();
  return packed;
}

export async function artifactOf(list: readonly Entry[] = entries()): Promise<Buffer> {
  return gzipSync(await tarOf(list));
}
