import { describe, expect, it } from '@jest/globals';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(import.meta.dirname, '..');
const page = readFileSync(join(repository, 'docs', 'architecture.md'), 'utf8');

describe('docs/architecture.md', () => {
  it('lists every app, library and package, and the other folders of code', () => {
    const packages = globSync('{apps,libs,packages}/*/package.json', { cwd: repository });
    const folders = packages.map((path) => path.replace('/package.json', ''));
    for (const folder of [...folders, 'examples/', 'e2e/', 'bench/']) expect(page).toContain(`| \`${folder}\``);
  });

  it('names only files that are there, those from POST to flip among them', () => {
    const named = [...page.matchAll(/`((?:apps|libs|packages)\/[^`{}]+\.ts)`/g)].map(([, path = '']) => path);
    for (const path of named) expect([path, existsSync(join(repository, path))]).toEqual([path, true]);
    for (const step of [
      'deployments.controller',
      'create-deployment',
      'reconcile-loop',
      'load-view',
      'commit-decision',
      'write-assignments',
      'document-streams',
      'desired-state',
      'module-slot',
    ])
      expect(named).toContainEqual(expect.stringContaining(`/${step}.ts`));
  });
});
