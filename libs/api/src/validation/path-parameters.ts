import { Injectable, type PipeTransform } from '@nestjs/common';
import { environments, type EnvironmentName } from '@hotswap/domain';
import { Problem } from '../problem/problem.js';
import { canonical } from './one-of.decorator.js';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-z-][0-9a-z-]*)(\.(0|[1-9]\d*|\d*[a-z-][0-9a-z-]*))*)?(\+[0-9a-z-]+(\.[0-9a-z-]+)*)?$/i;
const versionLengthMax = 256;

/** `moduleName`: 1-100 of a-z, 0-9 and -. */
export const moduleNamePattern = /^[a-z0-9-]{1,100}$/;
/** Node ids, which nodes choose themselves. */
export const nodeIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** An exact semantic version, without `v` or ranges. */
export function isExactVersion(value: unknown): value is string {
  return typeof value === 'string' && value.length <= versionLengthMax && semver.test(value);
}

@Injectable()
export class DeploymentIdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    const id = value.toLowerCase();
    if (!uuid.test(id)) throw deploymentNotFound(value);
    return id;
  }
}

@Injectable()
export class EnvironmentPipe implements PipeTransform<string, EnvironmentName> {
  transform(value: string): EnvironmentName {
    const environment = canonical(environments, value);
    if (environment) return environment;
    const detail = `There is no environment ${shown(value)}; there are ${environments.join(', ')}`;
    throw new Problem('environment-not-found', detail);
  }
}

@Injectable()
export class ModuleNamePipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!moduleNamePattern.test(value)) throw moduleNotFound(value);
    return value;
  }
}

@Injectable()
export class DigestPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!/^sha256:[0-9a-f]{64}$/.test(value)) throw artifactNotFound(value);
    return value;
  }
}

@Injectable()
export class NodeIdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!nodeIdPattern.test(value)) throw nodeNotFound(value);
    return value;
  }
}

export function deploymentNotFound(id: string): Problem {
  return new Problem('deployment-not-found', `There is no deployment ${shown(id)}`);
}

export function moduleNotFound(name: string): Problem {
  return new Problem('module-not-found', `There is no module ${shown(name)}`);
}

export function versionNotFound(name: string, version: string): Problem {
  return new Problem('version-not-found', `There is no version ${shown(version)} of ${shown(name)}`);
}

export function artifactNotFound(digest: string): Problem {
  return new Problem('artifact-not-found', `There is no artifact ${shown(digest)}`);
}

export function nodeNotFound(id: string): Problem {
  return new Problem('node-not-found', `There is no node ${shown(id)}`);
}

function shown(value: string): string {
  return JSON.stringify(value.slice(0, 100).toWellFormed()).slice(1, -1);
}
