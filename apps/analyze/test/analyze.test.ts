import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveParameters } from '@hotswap/domain';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCanary } from '../../../bench/canary/canary-run.js';
import { noRegression, standardWorld } from '../../../bench/canary/scenario.js';
import { latencyBucketSeconds } from '../../../bench/canary/simulated-cluster.js';
import type { Regression, World } from '../../../bench/canary/scenario.js';
import { readLines } from '../src/read-lines.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'analyze-'));
});
afterAll(() => rm(directory, { recursive: true }));

const program = join(import.meta.dirname, '../dist/main.js');

/** Runs the program as `npm run analyze` does, in the folder of the files. */
function analyze(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, INIT_CWD: directory };
    execFile(process.execPath, [program, ...args], { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function save(name: string, lines: readonly unknown[]): Promise<string> {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  await writeFile(join(directory, name), `${text}\n`);
  return name;
}

interface Recording {
  regression?: Partial<Regression>;
  world?: Partial<World>;
  parameters?: object;
  seconds?: number;
  /** Leave the stages out, so that the plan decides. */
  isPlanned?: boolean;
}

/** A deployment as the simulated cluster went through it, and what the analysis said while it was driven. */
function record({ regression, world, parameters = {}, seconds = 400, isPlanned = false }: Recording) {
  const scenario = {
    name: 'recorded',
    world: { ...standardWorld, nodeCount: 3, ...world },
    regression: { ...noRegression, ...regression },
    isHealthy: false,
  };
  const nodes = Array.from({ length: scenario.world.nodeCount }, (_, i) => `n${i}`);
  const lines: object[] = [
    { kind: 'deployment', stable: '2.0.0', candidate: '2.1.0', nodes, latencyBucketSeconds, parameters: {} },
  ];
  const said: object[] = [];
  runCanary(scenario, resolveParameters(parameters), [5], seconds, (event, verdict) => {
    if (event.kind !== 'stage' || !isPlanned) lines.push(event);
    if (verdict && verdict.verdict !== 'none') {
      said.push({ at: verdict.at, verdict: verdict.verdict, stage: verdict.stage, because: verdict.because });
    }
  });
  return { lines, said };
}

const parse = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('npm run analyze -- FILE', () => {
  it('prints each verdict and the summary of a regression, the same each time', async () => {
    const { lines, said } = record({ regression: { errorFactor: 50 } });
    const file = await save('x50.jsonl', lines);
    const first = await analyze(file);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await analyze(file)).toEqual(first);
    const output = parse(first.stdout);
    const summary = output.pop();
    expect(output.map(({ at, verdict, stage, because }) => ({ at, verdict, stage, because }))).toEqual(said);
    expect(output.map(({ verdict }) => verdict)).toEqual(['contain', 'rollback']);
    const blocks = lines.filter((line) => 'kind' in line && line.kind === 'block').length;
    expect(summary).toEqual({ summary: true, verdict: 'rollback', at: output.at(-1)?.at, blocks });
    expect(Object.keys(output[0] ?? {})).toEqual(['at', 'verdict', 'stage', 'E', 'metrics', 'because']);
    for (const value of [output[0]?.E, ...Object.values(output[0]?.metrics as object)]) {
      expect(value).toBe(Number(Number(value).toPrecision(6)));
    }
  });

  it('decides the stages by the plan where none are recorded, as the deployment did', async () => {
    const { lines, said } = record({ seconds: 1000, isPlanned: true, world: { requestsPerSecond: 200 } });
    const { stdout } = await analyze(await save('planned.jsonl', lines));
    const output = parse(stdout);
    expect(output.pop()).toEqual({ summary: true, verdict: 'promoted', at: 900, blocks: 900 });
    expect(output.map(({ at, verdict, stage, because }) => ({ at, verdict, stage, because }))).toEqual(said);
    expect(said).toHaveLength(4);
  });

  it('judges with other parameters', async () => {
    const { lines } = record({ regression: { errorFactor: 50 } });
    const file = await save('other.jsonl', lines);
    const parameters = await save('parameters.json', ['{"alpha": 1e-9, "W": {"errS": 0}}']);
    const [standard, strict] = await Promise.all([analyze(file), analyze(file, '--parameters', parameters)]);
    const [a, b] = [parse(standard.stdout)[0], parse(strict.stdout)[0]];
    expect(Number(b?.at ?? Infinity)).toBeGreaterThan(Number(a?.at));
  });

  it('recognises a recording without a twin', async () => {
    const { lines, said } = record({ regression: { errorFactor: 50 }, parameters: { twin: false } });
    const output = parse((await analyze(await save('single.jsonl', lines))).stdout);
    expect(output[0]).toMatchObject(said[0] as Record<string, unknown>);
    expect(output[0]?.because).toBe('err');
  });

  it('ends undecided where nothing was decided', async () => {
    const { lines } = record({ seconds: 30 });
    const { stdout } = await analyze(await save('short.jsonl', lines));
    expect(parse(stdout)).toEqual([{ summary: true, verdict: 'undecided', at: 30, blocks: 30 }]);
  });
});

describe('bad input', () => {
  const arm = { requests: 1, errors: 0, latency: [1, 0] };
  const deployment = {
    kind: 'deployment',
    stable: '1.0.0',
    candidate: '1.1.0',
    nodes: ['a'],
    latencyBucketSeconds: [1],
  };
  const block = (at: unknown, arms: object = { C: arm, T: arm }) => ({ kind: 'block', at, nodes: [{ id: 'a', arms }] });

  it.each<[string, unknown[], string]>([
    ['nothing', [], ':1: is missing'],
    ['no deployment', [block(1)], ':1: must be the deployment'],
    ['buckets out of order', [{ ...deployment, latencyBucketSeconds: [2, 1] }], ':1: "latencyBucketSeconds"'],
    ['an unknown parameter', [{ ...deployment, parameters: { alpah: 1 } }], ':1: unknown parameter "alpah"'],
    ['not JSON', [deployment, block(1), '{"kind":'], ':3: is not JSON'],
    ['not an object', [deployment, '7'], ':2: must be a JSON object'],
    ['an unknown kind', [deployment, { kind: 'blok', at: 1 }], ':2: "kind" must be'],
    ['a second deployment', [deployment, '', deployment], ':3: is a second deployment'],
    ['time running back', [deployment, block(2), { kind: 'restart', at: 1, arms: ['C'] }], ':3: "at" is 1, before 2'],
    ['an empty interval', [deployment, block(2), block(2)], ':3: the block\'s "at" is 2'],
    ['no time', [deployment, block('1')], ':2: "at" must be'],
    ['a count that is none', [deployment, block(1, { C: { ...arm, errors: 0.5 } })], 'node "a", arm C: "errors" must'],
    ['too few buckets', [deployment, block(1, { C: { ...arm, latency: [1] } })], '"latency" has 1 counts, not 2'],
    ['an unknown arm', [deployment, block(1, { X: arm })], 'unknown arm "X"'],
    ['a strange node', [deployment, { kind: 'stage', at: 0, stage: 0, nodes: ['z'], weight: 0.1 }], ':2: node "z"'],
    [
      'a late stage',
      [deployment, block(1), { kind: 'stage', at: 1, stage: 0, nodes: ['a'], weight: 0.1 }],
      ':3: a stage',
    ],
  ])('says where and what: %s', async (name, lines, message) => {
    const { code, stderr } = await analyze(await save(`${name.replaceAll(' ', '-')}.jsonl`, lines));
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(2);
  });

  it('says what is wrong with its arguments and files', async () => {
    expect(await analyze()).toMatchObject({ code: 2, stderr: expect.stringContaining('Usage') });
    expect(await analyze('a', 'b')).toMatchObject({ code: 2, stderr: expect.stringContaining('one FILE') });
    expect(await analyze('gone.jsonl')).toMatchObject({ code: 2, stderr: expect.stringContaining('ENOENT') });
    const parameters = await save('broken.json', ['{']);
    expect(await analyze('gone.jsonl', '--parameters', parameters)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('broken.json: is not JSON'),
    });
  });

  it('reads lines across chunks, bounded', async () => {
    const long = 'é'.repeat(100_000);
    const file = join(directory, await save('long.txt', [long, '', 'end']));
    const texts: string[] = [];
    for await (const { text } of readLines(file, 200_000)) texts.push(text);
    expect(texts).toEqual([long, '', 'end']);
    const tooLong = async () => {
      for await (const line of readLines(file, 199_999)) texts.push(line.text);
    };
    await expect(tooLong()).rejects.toThrow('line 1: is longer than 199999 bytes');
  });
});
