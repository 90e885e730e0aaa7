import { retryableStatuses, type BreakGlass, type DeploymentStatus } from '@hotswap/domain';
import { Injectable } from '@nestjs/common';
import { ArtifactError, readArtifact, SignatureError, signatureLimits, type Artifact } from '@hotswap/module-kit';
import { ArtifactVerifier } from './artifact-verifier.js';
import {
  DeploymentStore,
  type ApprovalVerdict,
  type ControlOutcome,
  type CreateOutcome,
  type NewDeployment,
  type RequestOutcome,
  type VerdictOutcome,
} from './ports/deployment-store.js';
import { ModuleCatalog, type ModuleVersion } from './ports/module-catalog.js';
import { currentTraceparent } from './traceparent.js';

/** `nothing-to-retry`: it has not ended as something that may be asked for again. */
export type RetryOutcome =
  CreateOutcome | { kind: 'deployment-not-found' } | { kind: 'nothing-to-retry'; status: DeploymentStatus };

export type PublishRefusal =
  'signature-missing' | 'signature-invalid' | 'untrusted-signer' | 'artifact-invalid' | 'version-exists' | 'too-large';

/** Why an artifact was not published; nothing was written. */
export class PublishRefused extends Error {
  override name = 'PublishRefused';

  constructor(
    readonly code: PublishRefusal,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * What the outside asks of the control plane. Every command is one transaction that writes down what is wanted; the reconcile loop of any replica
 * makes it true.
 */
@Injectable()
export class DistributedKernelOrchestrator {
  constructor(
    private readonly deployments: DeploymentStore,
    private readonly catalog: ModuleCatalog,
    private readonly verifier: ArtifactVerifier,
  ) {}

  /** Publishes one version of a module; throws PublishRefused. */
  async publish(bytes: Buffer, bundles: unknown[]): Promise<{ outcome: 'created' | 'same'; published: ModuleVersion }> {
    const artifact = await readOrRefuse(bytes);
    const { name, version, digest, manifest } = artifact;
    const counted = this.admitOrRefuse(artifact, bundles, await this.catalog.bundles(digest));
    const { outcome, published } = await this.catalog.publish({
      name,
      version,
      digest,
      bytes,
      manifest,
      bundles: [...counted.values()],
      signers: [...counted.keys()].sort(),
    });
    if (outcome === 'other') {
      const message = `${name} ${version} is published with other bytes (${published.digest}); a version never changes: raise the version`;
      throw new PublishRefused('version-exists', message);
    }
    if (outcome === 'full') {
      const message = `${name} ${version} would have signatures of more than ${signatureLimits.bundleCount} keys`;
      throw new PublishRefused('too-large', message);
    }
    return { outcome, published };
  }

  /** Writes the deployment and its stages; the reconcile loop takes it from there. */
  deploy(deployment: Omit<NewDeployment, 'traceparent'>): Promise<CreateOutcome> {
    return this.deployments.create({ ...deployment, traceparent: currentTraceparent() });
  }

  /** The request of a deployment that came to nothing once more, as a new deployment: nothing of the old one's evidence or approvals counts. */
  async retry(
    id: string,
    { requesterEmail, breakGlass }: { requesterEmail: string | null; breakGlass: BreakGlass | null },
  ): Promise<RetryOutcome> {
    const before = await this.deployments.find(id);
    if (!before) return { kind: 'deployment-not-found' };
    const { deployment } = before;
    // Such an end is final: it can't have changed when the new deployment is written.
    if (!retryableStatuses.includes(deployment.status)) return { kind: 'nothing-to-retry', status: deployment.status };
    const { module, version, targetEnvironment, description, metadata, requireApproval } = deployment;
    return this.deploy({
      module,
      version,
      targetEnvironment,
      requesterEmail: requesterEmail ?? deployment.requesterEmail,
      description,
      metadata,
      requireApproval,
      onConflict: 'reject',
      idempotency: null,
      breakGlass,
      retryOf: id,
    });
  }

  rollBack(id: string, scope: 'environment' | 'all', reason: string | null): Promise<RequestOutcome> {
    return this.deployments.request(id, { kind: 'roll-back', scope, reason });
  }

  cancel(id: string, reason: string | null): Promise<RequestOutcome> {
    return this.deployments.request(id, { kind: 'cancel', reason });
  }

  /** It stands still where it is; what speaks against the target is acted on nevertheless. */
  pause(id: string, reason: string | null): Promise<ControlOutcome> {
    return this.deployments.control(id, { kind: 'pause', reason });
  }

  resume(id: string, reason: string | null): Promise<ControlOutcome> {
    return this.deployments.control(id, { kind: 'resume', reason });
  }

  /** Goes on without waiting: to the next step, or (`full`) through all steps of the Deploy stage in hand. */
  promote(id: string, full: boolean, reason: string | null): Promise<ControlOutcome> {
    return this.deployments.control(id, { kind: 'promote', full, reason });
  }

  /** What a person says of the environment that a deployment asks to enter. */
  decideApproval(id: string, verdict: ApprovalVerdict): Promise<VerdictOutcome> {
    return this.deployments.decideApproval(id, verdict);
  }

  private admitOrRefuse(artifact: Artifact, bundles: unknown[], kept: unknown[]): Map<string, unknown> {
    try {
      return this.verifier.admit(artifact, bundles, kept);
    } catch (error) {
      if (error instanceof SignatureError) throw new PublishRefused(error.code, error.message, { cause: error });
      throw error;
    }
  }
}

async function readOrRefuse(bytes: Buffer): Promise<Artifact> {
  try {
    return await readArtifact(bytes);
  } catch (error) {
    if (error instanceof ArtifactError) throw new PublishRefused('artifact-invalid', error.message, { cause: error });
    throw error;
  }
}
