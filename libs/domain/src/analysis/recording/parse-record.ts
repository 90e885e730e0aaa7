import type { AnalysisEvent, Arm, ArmSample, NodeSample } from '../events.js';
import { RecordingError } from './recording-error.js';

/** One line of a recording's text, counted from 1. */
export interface Line {
  number: number;
  text: string;
}

/** The first line of a recording. */
export interface DeploymentRecord {
  kind: 'deployment';
  stable: string;
  candidate: string;
  nodes: readonly string[];
  /** Upper bounds of the latency buckets, ascending. */
  latencyBucketSeconds: readonly number[];
  parameters: unknown;
  /** Requests per second of the whole module before the deployment; null: not known. */
  requestsPerSecond: number | null;
}

const nodeCountMax = 10_000;
const bucketCountMax = 1_000;
const armNames: readonly Arm[] = ['C', 'T', 'S'];

type Fields = Record<string, unknown>;

/** The first line's record. Throws RecordingError. */
export function parseDeployment(line: Line): DeploymentRecord {
  const fields = parseFields(line);
  if (fields.kind !== 'deployment') {
    throw new RecordingError(line.number, 'must be the deployment: {"kind":"deployment","nodes":[…],…} comes first');
  }
  const bounds = fields.latencyBucketSeconds;
  if (!Array.isArray(bounds) || bounds.length === 0 || bounds.length > bucketCountMax || !isAscending(bounds)) {
    throw new RecordingError(
      line.number,
      `"latencyBucketSeconds" must be 1 to ${bucketCountMax} positive numbers, ascending`,
    );
  }
  const requestsPerSecond = fields.requestsPerSecond ?? null;
  if (requestsPerSecond !== null && !(isNumber(requestsPerSecond) && requestsPerSecond > 0)) {
    throw new RecordingError(line.number, '"requestsPerSecond" must be a number above 0');
  }
  return {
    kind: 'deployment',
    stable: parseText(line, fields, 'stable'),
    candidate: parseText(line, fields, 'candidate'),
    nodes: parseNodeIds(line, fields.nodes),
    latencyBucketSeconds: bounds,
    parameters: fields.parameters ?? {},
    requestsPerSecond,
  };
}

/** Any later line's record. Throws RecordingError. */
export function parseEvent(line: Line, deployment: DeploymentRecord): AnalysisEvent {
  const fields = parseFields(line);
  const { kind, at } = fields;
  if (kind !== 'stage' && kind !== 'block' && kind !== 'restart') {
    throw new RecordingError(
      line.number,
      kind === 'deployment'
        ? 'is a second deployment; one recording holds one'
        : `"kind" must be "stage", "block" or "restart", not ${JSON.stringify(kind)}`,
    );
  }
  if (!isNumber(at) || at < 0) {
    throw new RecordingError(line.number, '"at" must be seconds from the start of the stream, 0 or more');
  }
  if (kind === 'stage') return { kind, at, ...parseStage(line, fields, deployment) };
  if (kind === 'restart') return { kind, at, arms: parseArmNames(line, fields.arms) };
  return { kind, at, nodes: parseNodes(line, fields.nodes, deployment.latencyBucketSeconds.length + 1) };
}

function parseFields({ number, text }: Line): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RecordingError(number, `is not JSON (${(error as Error).message})`);
  }
  if (!isFields(value)) throw new RecordingError(number, 'must be a JSON object');
  return value;
}

function parseText(line: Line, fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw new RecordingError(line.number, `"${name}" must be a version as text`);
  return value;
}

function parseNodeIds(line: Line, value: unknown): string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.length <= nodeCountMax;
  if (!isList || !value.every((id) => typeof id === 'string' && id !== '') || new Set(value).size !== value.length) {
    throw new RecordingError(line.number, `"nodes" must list 1 to ${nodeCountMax} different node ids`);
  }
  return value as string[];
}

function parseStage(line: Line, fields: Fields, deployment: DeploymentRecord) {
  const { stage, weight } = fields;
  if (!isCount(stage) || stage < 0) throw new RecordingError(line.number, '"stage" must be a whole number, 0 or more');
  if (!isNumber(weight) || weight < 0 || weight > 1) {
    throw new RecordingError(line.number, `"weight" must be the candidate's share of the requests, 0 to 1`);
  }
  const nodes = parseNodeIds(line, fields.nodes);
  const unknown = nodes.find((id) => !deployment.nodes.includes(id));
  if (unknown !== undefined) {
    throw new RecordingError(line.number, `node ${JSON.stringify(unknown)} is not among the deployment's nodes`);
  }
  return { stage, weight, nodes };
}

function parseArmNames(line: Line, value: unknown): Arm[] {
  if (!Array.isArray(value) || !value.every((arm) => armNames.includes(arm as Arm))) {
    throw new RecordingError(line.number, '"arms" must list arms: "C", "T", "S"');
  }
  return value as Arm[];
}

function parseNodes(line: Line, value: unknown, bucketCount: number): NodeSample[] {
  if (!Array.isArray(value) || value.length > nodeCountMax) {
    throw new RecordingError(line.number, `"nodes" must be a list of at most ${nodeCountMax} nodes`);
  }
  const seen = new Set<string>();
  return value.map((node: unknown) => {
    if (!isFields(node) || typeof node.id !== 'string' || !isFields(node.arms)) {
      throw new RecordingError(line.number, 'each of "nodes" must be {"id":"…","arms":{…}}');
    }
    if (seen.has(node.id)) throw new RecordingError(line.number, `node ${JSON.stringify(node.id)} is listed twice`);
    seen.add(node.id);
    const arms: NodeSample['arms'] = {};
    for (const [name, arm] of Object.entries(node.arms)) {
      if (!armNames.includes(name as Arm)) {
        throw new RecordingError(line.number, `node ${JSON.stringify(node.id)}: unknown arm ${JSON.stringify(name)}`);
      }
      const sample = parseArm(arm, bucketCount);
      if (typeof sample === 'string') {
        throw new RecordingError(line.number, `node ${JSON.stringify(node.id)}, arm ${name}: ${sample}`);
      }
      arms[name as Arm] = sample;
    }
    return { id: node.id, arms };
  });
}

/** The sample, or what is wrong with it. Negative counts are let through: they mark a counter that was reset. */
function parseArm(value: unknown, bucketCount: number): ArmSample | string {
  if (!isFields(value)) return 'must be an object; an arm that is off is left out';
  const { requests, errors, latency, cpuSeconds = null, rssBytes = null } = value;
  if (!isCount(requests)) return '"requests" must be a whole number';
  if (!isCount(errors)) return '"errors" must be a whole number';
  if (!Array.isArray(latency) || !latency.every(isCount)) return '"latency" must be a list of whole numbers';
  if (latency.length !== bucketCount) {
    return `"latency" has ${latency.length} counts, not ${bucketCount} (one more than the bounds)`;
  }
  if (cpuSeconds !== null && !isNumber(cpuSeconds)) return '"cpuSeconds" must be a number';
  if (rssBytes !== null && !(isNumber(rssBytes) && rssBytes >= 0)) return '"rssBytes" must be a number, 0 or more';
  return { requests, errors, latency, cpuSeconds, rssBytes };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isAscending(values: unknown[]): values is number[] {
  return values.every((value, i) => isNumber(value) && value > (i === 0 ? 0 : (values[i - 1] as number)));
}
