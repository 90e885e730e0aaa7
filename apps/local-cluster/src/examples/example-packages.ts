import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { join } from 'node:path';

/** One version of an example, ready to be packed. */
export interface ExamplePackage {
  name: string;
  version: string;
  folder: string;
}

/**
 * The packages that the build has made: `examples/<example>/dist/<version>`, each with its package.json.
 * @throws Error when a package.json can't be read
 */
export function findExamplePackages(examplesFolder: string): ExamplePackage[] {
  const found: ExamplePackage[] = [];
  for (const example of readdirSync(examplesFolder).sort()) {
    const dist = join(examplesFolder, example, 'dist');
    if (!existsSync(dist)) continue;
    for (const version of readdirSync(dist).sort()) {
      const manifest = join(dist, version, 'package.json');
      if (!existsSync(manifest)) continue;
      const { name, version: packageVersion } = JSON.parse(readFileSync(manifest, 'utf8')) as {
        name: string;
        version: string;
      };
      found.push({ name, version: packageVersion, folder: join(dist, version) });
    }
  }
  return found;
}
