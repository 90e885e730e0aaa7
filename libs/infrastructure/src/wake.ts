import type { EntityManager } from 'typeorm';

export const wakeChannel = 'hotswap_wake';

/** Nudges every control plane when this transaction commits. Carries no data. */
export async function notifyWake(manager: EntityManager): Promise<void> {
  await manager.query(`NOTIFY ${wakeChannel}`);
}
