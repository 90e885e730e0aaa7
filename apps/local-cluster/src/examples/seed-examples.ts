import { packModule, signArtifact } from '@hotswap/module-kit';
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Deployment, type OrchestratorClient, UnexpectedAnswerError } from '../orchestrator-client.js';
import { patiently } from '../patiently.js';
import type { ExamplePackage } from './example-packages.js';
import { exampleKeyId } from './example-trust.js';

/** What runs after the first start; other versions are published only, for the reader to deploy. */
const deployed = [
  { moduleName: 'payment-processor', version: '2.0.0' },
  { moduleName: 'price-list', version: '1.0.0' },
];

/** Packs, signs and publishes every package. A version that is published already is left alone, whatever it holds. */
export async function publishExamples(
  client: OrchestratorClient,
  packages: readonly ExamplePackage[],
  privateKeyPem: string,
  log: Logger,
  abort: AbortSignal,
): Promise<void> {
  for (const { name, version, folder } of packages) {
    const failure = `The example ${name}@${version} was not published`;
    await patiently(
      async () => {
        const packed = await packModule(folder);
        const bundle = JSON.stringify(signArtifact(packed, privateKeyPem, exampleKeyId));
        try {
          const outcome = await client.publish(packed.fileName, packed.bytes, bundle);
          if (outcome === 'published') log.info(`published ${name}@${version}`);
        } catch (error) {
          if (!(error instanceof UnexpectedAnswerError) || error.code !== 'version-exists') throw error;
          log.info(
            `${name}@${version} is published already, with other content than examples/ has now; it stays as it is`,
          );
        }
      },
      failure,
      log,
      abort,
    );
  }
}

/**
 * Deploys the examples' first versions to all environments, where none has had that module yet. (Where one has, the
 * orchestrator goes on with whatever was begun.) Answers what it has begun.
 */
export async function deployExamples(
  client: OrchestratorClient,
  log: Logger,
  abort: AbortSignal,
): Promise<Deployment[]> {
  const deployments: Deployment[] = [];
  for (const { moduleName, version } of deployed) {
    // One key for all attempts of this start, so that an answer that got lost does not deploy twice.
    const idempotencyKey = `local-cluster-${randomUUID()}`;
    await patiently(
      async () => {
        const known = (await client.clusters()).flatMap(({ modules }) => modules);
        if (known.some(({ name }) => name === moduleName)) return;
        const deployment = await client.deploy(
          {
            moduleName,
            version,
            targetEnvironment: 'Production',
            requesterEmail: 'local-cluster@example.com',
            description: 'The first release of an example, deployed by npm start',
          },
          idempotencyKey,
        );
        deployments.push(deployment);
        log.info(`deploying ${moduleName}@${version} to all environments`);
      },
      `The example ${moduleName}@${version} was not deployed`,
      log,
      abort,
    );
  }
  return deployments;
}
