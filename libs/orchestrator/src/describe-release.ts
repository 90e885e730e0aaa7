import type { Release } from '@hotswap/domain';
import { canonicalDigest } from './canonical-digest.js';

/** The release of these contents; its digest is of all of them. */
export function describeRelease(contents: Omit<Release, 'digest'>): Release {
  const { module, version, artifact, configurationRevision, configuration } = contents;
  const digest = canonicalDigest({ module, version, artifact, configurationRevision, configuration });
  return { digest, module, version, artifact, configurationRevision, configuration };
}
