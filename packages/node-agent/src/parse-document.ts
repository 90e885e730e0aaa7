import type {
  JsonObject,
  ModuleAssignment,
  ModulePolicy,
  NodeDocument,
  ProbeOrder,
  ReleaseSpec,
} from '@hotswap/agent-protocol';

const digest = /^sha256:[0-9a-f]{64}$/;
const moduleName = /^[a-z0-9-]{1,100}$/;
const modulesMax = 1_000;
const probesPerSecondMax = 100;

/** A document that does not have the protocol's shape; the message names the field. */
export class DocumentError extends Error {}

/** Checks that `value` is a NodeDocument, to the last field that the node uses; throws DocumentError. */
export function parseDocument(value: unknown): NodeDocument {
  const document = object(value, 'document');
  const modules = list(document.modules, 'modules', modulesMax).map((entry, index) =>
    parseAssignment(entry, `modules[${index}]`),
  );
  const names = new Set(modules.map((assignment) => assignment.module));
  if (names.size < modules.length) throw new DocumentError('modules names one module twice');
  const drainedBootId = document.drainedBootId ?? null;
  return {
    epoch: count(document.epoch, 'epoch'),
    revision: count(document.revision, 'revision'),
    modules,
    ...(drainedBootId !== null && { drainedBootId: text(drainedBootId, 'drainedBootId') }),
  };
}

function parseAssignment(value: unknown, at: string): ModuleAssignment {
  const entry = object(value, at);
  const traceparent = entry.traceparent ?? null;
  if (traceparent !== null && typeof traceparent !== 'string')
    throw new DocumentError(`${at}.traceparent must be a string or null`);
  return {
    module: name(entry.module, `${at}.module`),
    active: releaseOrNull(entry.active, `${at}.active`),
    candidate: releaseOrNull(entry.candidate, `${at}.candidate`),
    candidatePercent: quantity(entry.candidatePercent, `${at}.candidatePercent`, 100),
    twin: flag(entry.twin ?? false, `${at}.twin`),
    ...(entry.probe !== undefined && { probe: parseProbe(entry.probe, `${at}.probe`) }),
    warm: list(entry.warm, `${at}.warm`, 100).map((each, index) => parseRelease(each, `${at}.warm[${index}]`)),
    fallback: releaseOrNull(entry.fallback, `${at}.fallback`),
    policy: parsePolicy(entry.policy, `${at}.policy`),
    traceparent,
  };
}

function parseProbe(value: unknown, at: string): ProbeOrder {
  const probe = object(value, at);
  return {
    id: text(probe.id, `${at}.id`),
    requestsPerSecond: quantity(probe.requestsPerSecond, `${at}.requestsPerSecond`, probesPerSecondMax),
    requestsMax: count(probe.requestsMax, `${at}.requestsMax`),
  };
}

function parsePolicy(value: unknown, at: string): ModulePolicy {
  const policy = object(value, at);
  return {
    warmSeconds: quantity(policy.warmSeconds, `${at}.warmSeconds`, Infinity),
    drainSeconds: quantity(policy.drainSeconds, `${at}.drainSeconds`, Infinity),
  };
}

function releaseOrNull(value: unknown, at: string): ReleaseSpec | null {
  return value === null || value === undefined ? null : parseRelease(value, at);
}

function parseRelease(value: unknown, at: string): ReleaseSpec {
  const release = object(value, at);
  return {
    digest: digestText(release.digest, `${at}.digest`),
    module: name(release.module, `${at}.module`),
    version: text(release.version, `${at}.version`),
    artifact: digestText(release.artifact, `${at}.artifact`),
    configurationRevision: count(release.configurationRevision, `${at}.configurationRevision`),
    configuration: object(release.configuration, `${at}.configuration`),
  };
}

function flag(value: unknown, at: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new DocumentError(`${at} must be true or false`);
}

function object(value: unknown, at: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new DocumentError(`${at} must be an object`);
}

function list(value: unknown, at: string, max: number): unknown[] {
  if (Array.isArray(value) && value.length <= max) return value as unknown[];
  throw new DocumentError(`${at} must be a list of at most ${max}`);
}

function text(value: unknown, at: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 256) return value;
  throw new DocumentError(`${at} must be a text of 1 to 256 characters`);
}

function name(value: unknown, at: string): string {
  if (typeof value === 'string' && moduleName.test(value)) return value;
  throw new DocumentError(`${at} must be 1 to 100 of a-z, 0-9 and -`);
}

// A digest becomes part of a path on the node's disk, so nothing but hexadecimal digits may pass.
function digestText(value: unknown, at: string): string {
  if (typeof value === 'string' && digest.test(value)) return value;
  throw new DocumentError(`${at} must be sha256: and 64 hexadecimal digits`);
}

function count(value: unknown, at: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new DocumentError(`${at} must be a whole number from 0`);
}

function quantity(value: unknown, at: string, max: number): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= max) return value;
  throw new DocumentError(`${at} must be a number from 0${max === Infinity ? '' : ` to ${max}`}`);
}
