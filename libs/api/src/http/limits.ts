import { signatureLimits } from '@hotswap/module-kit';

const mebibyte = 1024 * 1024;

/** Bodies but uploads and node reports. */
export const bodyBytesMax = 256 * 1024;
/** A packed module. */
export const artifactBytesMax = 10 * mebibyte;
export const bundleBytesMax = signatureLimits.bundleKiB * 1024;
/** Signatures sent with one artifact. */
export const bundleCountMax = signatureLimits.bundleCount;
