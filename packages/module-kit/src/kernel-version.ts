/** The version of what a kernel node offers to modules; a manifest's `kernel` range is checked against it. */
export const kernelVersion = '1.0.0';
