import { describe, expect, it } from '@jest/globals';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import {
  compose,
  composeText,
  dockerfile,
  instructionsOf,
  repository,
  type Service,
  services,
  stages,
} from './container-files.js';

describe('Dockerfile', () => {
  it('has a target for each process', () => {
    expect([...stages.keys()]).toEqual(['build', 'runtime', 'orchestrator-api', 'kernel-node', 'examples']);
  });

  it.each(['orchestrator-api', 'kernel-node', 'examples'])(
    'runs %s from an entry that the build makes, not as root',
    (target) => {
      const instructions = instructionsOf(target);
      const command = instructions.findLast((line) => /^(CMD|ENTRYPOINT) /.test(line)) ?? '';
      const [program, ...words] = JSON.parse(command.slice(command.indexOf('['))) as string[];
      const [entry = ''] = words.filter((word) => !word.startsWith('--'));
      expect(program).toBe('node');
      expect(entry).toMatch(/^apps\/.+\.js$/);
      expect(existsSync(join(repository, entry.replace('/dist/', '/src/').replace(/\.js$/, '.ts')))).toBe(true);
      expect(instructions.findLast((line) => line.startsWith('USER '))).toBe('USER node');
    },
  );

  it.each(['orchestrator-api', 'kernel-node'])(
    'checks the health of %s by its readiness, in a form that node accepts',
    (target) => {
      const check = instructionsOf(target).find((line) => line.startsWith('HEALTHCHECK ')) ?? '';
      const [, , script = ''] = JSON.parse(check.slice(check.indexOf('['))) as string[];
      expect(script).toContain('/health/ready');
      expect(() => new Script(script)).not.toThrow();
    },
  );

  it('copies only what is there', () => {
    const copied = [...stages.values()].flatMap(({ instructions }) =>
      instructions.filter((line) => line.startsWith('COPY ')),
    );
    for (const line of copied) {
      const [, from, source = ''] = /^COPY (?:--from=(\S+) )?(\S+)(?: package-lock.json)? \S+$/.exec(line) ?? [];
      if (from !== undefined) expect([...stages.keys()]).toContain(from);
      const path = source.replace(/^\/build\//, '');
      // node_modules is made by the build stage.
      if (path !== 'node_modules') expect(existsSync(join(repository, path))).toBe(true);
    }
    expect(copied.length).toBeGreaterThan(4);
  });

  it('installs from the package files alone, so that a change of a source does not install anew', () => {
    const { instructions } = stages.get('build')!;
    const install = instructions.findIndex((line) => line.endsWith('npm ci'));
    const { workspaces } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      workspaces: string[];
    };
    const wanted = globSync(
      workspaces.map((pattern) => `${pattern}/package.json`),
      { cwd: repository },
    );
    const copied = instructions.slice(0, install).filter((line) => line.startsWith('COPY '));
    expect(copied.sort()).toEqual(
      ['COPY package.json package-lock.json ./', ...wanted.map((path) => `COPY ${path} ${path}`)].sort(),
    );
    expect(instructions.slice(install)).toContain('COPY . .');
  });

  it('leaves out of its context what is left out of the repository: keys and artifacts above all', () => {
    const linesOf = (file: string) => readFileSync(join(repository, file), 'utf8').split('\n').filter(Boolean);
    const wanted = linesOf('.gitignore').map((pattern) => `**/${pattern.replace(/\/$/, '')}`);
    expect(linesOf('.dockerignore')).toEqual(expect.arrayContaining(wanted));
  });
});

describe('docker-compose.yml', () => {
  it('has Postgres, the orchestrator, the nodes of each environment, and Jaeger', () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(['postgres', 'orchestrator-api', 'jaeger', 'trust', 'examples']),
    );
    const nodes = services.filter(([, { build }]) => build?.target === 'kernel-node');
    expect(
      nodes.map(([, { environment, deploy }]) => [environment?.['HOTSWAP_ENVIRONMENT'], deploy?.replicas ?? 1]),
    ).toEqual([
      ['Development', 1],
      ['QA', 2],
      ['Staging', 2],
      ['Production', 5],
    ]);
    for (const [, { ports, deploy }] of nodes) expect(hostPortCount(ports?.[0] ?? '')).toBe(deploy?.replicas ?? 1);
  });

  it.each(services)(
    '%s is built from a target that exists, or is an image with a version',
    (_name, { build, image }) => {
      if (build !== undefined) expect([...stages.keys()]).toContain(build.target);
      else expect(image).toMatch(/^[a-z/]+:\d/);
    },
  );

  it.each(services)('%s waits only for what can come true', (_name, { depends_on: dependencies = {} }) => {
    for (const [name, { condition }] of Object.entries(dependencies)) {
      const service = compose.services[name];
      expect(service).toBeDefined();
      if (condition === 'service_healthy') expect(hasHealthCheck(service)).toBe(true);
      else expect(condition).toBe('service_completed_successfully');
    }
  });

  it.each(services)('%s uses volumes and networks that are declared', (_name, { volumes = [], networks = [] }) => {
    for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    for (const network of networks) expect(Object.keys(compose.networks)).toContain(network);
  });

  it('mounts volumes only where the image has a folder that its user owns', () => {
    const owned = instructionsOf('runtime').find((line) => line.includes('--owner=node')) ?? '';
    for (const [, { build, volumes = [] }] of services) {
      if (build === undefined) continue;
      for (const volume of volumes) expect(owned.split(/\s+/)).toContain(volume.split(':')[1]);
    }
  });

  it('publishes on loopback only, which is what lets the API go without a token', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(ports).toEqual(expect.arrayContaining(['127.0.0.1:5000:5000', '127.0.0.1:16686:16686']));
    expect(compose.services['orchestrator-api']?.environment).toMatchObject({
      HOTSWAP_ALLOW_OPEN: 'loopback-published',
    });
    expect(compose.services['postgres']?.ports).toBeUndefined();
    expect(compose.networks['database']).toEqual({ internal: true });
    expect(services.filter(([, { networks }]) => networks?.includes('database')).map(([name]) => name)).toEqual([
      'postgres',
      'orchestrator-api',
    ]);
  });

  it('shows the signing key to nobody but those who sign, and holds no secret', () => {
    const withKey = services.filter(([, { volumes }]) => volumes?.some((volume) => volume.startsWith('signing-key:')));
    expect(withKey.map(([name]) => name)).toEqual(['trust', 'examples']);
    for (const [, { environment = {} }] of services) {
      for (const [name, value] of Object.entries(environment)) {
        if (/(TOKEN|PASSWORD|SECRET|KEY)$/.test(name)) expect(value).toBe(`\${${name}:-}`);
        expect(String(value)).not.toMatch(/:\/\/[^/@]*:[^/@]*@/);
      }
    }
    expect(dockerfile + composeText).not.toMatch(/PRIVATE KEY|_PASSWORD[:=]/);
  });
});

function hasHealthCheck(service: Service | undefined): boolean {
  if (service?.healthcheck !== undefined) return true;
  return instructionsOf(service?.build?.target ?? '').some((line) => line.startsWith('HEALTHCHECK '));
}

function hostPortCount(published: string): number {
  const [, first, last] = /^127\.0\.0\.1:(\d+)(?:-(\d+))?:\d+$/.exec(published) ?? [];
  return Number(last ?? first) - Number(first) + 1;
}
