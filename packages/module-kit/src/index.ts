export { readArtifact, artifactLimits, ArtifactError, type Artifact } from './artifact.js';
export { digestOf } from './digest.js';
export { kernelVersion } from './kernel-version.js';
export { parseManifest, ManifestError, type Manifest, type SmokeCheck } from './manifest.js';
export type { Module, ModuleContext, ModuleEnv } from './module.js';
export { packModule, type PackedModule } from './pack-module.js';
export type { Problem } from './schema-check.js';
export { signArtifact, type SignatureSubject, type SigstoreBundle } from './sign-artifact.js';
export { generateKeyPair } from './signing-key.js';
export {
  isTrustedFor,
  loadTrustFile,
  parseTrust,
  TrustError,
  type Trust,
  type TrustedKey,
  type TrustRule,
} from './trust.js';
export {
  countedBundles,
  signatureLimits,
  SignatureError,
  verifySignatures,
  type SignatureErrorCode,
} from './verify-signatures.js';
export { writeArtifact } from './write-artifact.js';
