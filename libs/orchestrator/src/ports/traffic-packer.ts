/** Closes what nodes reported into blocks, each report in exactly one, however late or often it came. */
export abstract class TrafficPacker {
  /**
   * Packs what was reported since the last call of any replica: one row per release, role and block while a rollout of the module lives, one per minute
   * always. Does nothing while another replica is at it.
   */
  abstract pack(): Promise<void>;
}
