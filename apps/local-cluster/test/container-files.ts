import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export const repository = join(import.meta.dirname, '..', '..', '..');
export const dockerfile = readFileSync(join(repository, 'Dockerfile'), 'utf8');
export const composeText = readFileSync(join(repository, 'docker-compose.yml'), 'utf8');

interface Stage {
  base: string;
  instructions: string[];
}
export interface Service {
  image?: string;
  build?: { context: string; target: string };
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  networks?: string[];
  network_mode?: string;
  command?: string[];
  deploy?: { replicas: number };
  healthcheck?: unknown;
  depends_on?: Record<string, { condition: string }>;
}
export interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
  networks: Record<string, unknown>;
}

export const compose = parse(composeText, { merge: true }) as Compose;
export const services = Object.entries(compose.services);
export const stages = stagesOf(dockerfile);

/** Stages by name, with their instructions in one line each, comments left out. */
function stagesOf(text: string): Map<string, Stage> {
  const found = new Map<string, Stage>();
  let stage: Stage | undefined;
  const lines = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  for (const line of lines.filter((each) => each !== '')) {
    const [, base, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? [];
    if (base !== undefined && name !== undefined) found.set(name, (stage = { base, instructions: [] }));
    else stage?.instructions.push(line);
  }
  return found;
}

/** The instructions of a stage and of those it is built on, its own last. */
export function instructionsOf(name: string): string[] {
  const stage = stages.get(name);
  return stage === undefined ? [] : [...instructionsOf(stage.base), ...stage.instructions];
}
