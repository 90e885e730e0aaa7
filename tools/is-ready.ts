/** Whether who listens there says, within 5 s, that it is ready. */
export async function isReady(address: string): Promise<boolean> {
  return (await fetch(`${address}/health/ready`, { signal: AbortSignal.timeout(5_000) })).ok;
}
