import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { migrations } from '../src/migrations/index.js';

it('runs every migration there is a file of, in the order of their numbers', () => {
  const files = readdirSync(join(import.meta.dirname, '..', 'src', 'migrations')).flatMap(
    (name) => /^(\d+)-.*\.ts$/.exec(name)?.[1] ?? [],
  );
  expect(files.length).toBeGreaterThan(0);
  expect(migrations.map(({ name }) => /\d+$/.exec(name)?.[0])).toEqual(files.sort());
});
