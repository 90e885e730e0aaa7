/** The host's own times; what depends on a module or an environment is in the manifest and in the policy. */
export interface HostTiming {
  /** For evaluating the bundle. */
  loadSeconds: number;
  /** For `start()` and for `activate()`. */
  startSeconds: number;
  /** For `deactivate()` and for `stop()`. */
  stopSeconds: number;
  /** A client whose request is not complete may send nothing for so long. */
  clientIdleSeconds: number;
  /** How often an instance is asked for its statistics; the answer is the sign that its event loop turns. */
  pingSeconds: number;
  /** Without a sign for so long an instance is ended. */
  stallSeconds: number;
  /** After a spare was taken, until another is started: what was loaded into it goes first. */
  spareSeconds: number;
  /** For a spare to show that it is there; else another process is started. */
  spareResponseSeconds: number;
  /** First pause before a failed release is tried again; doubles. */
  retrySeconds: number;
  /** The longest such pause; also that after failures which only a change elsewhere mends, and of a crash loop. */
  retrySecondsMax: number;
  /** So many crashes within `crashWindowSeconds` are a crash loop. */
  crashLoopCount: number;
  crashWindowSeconds: number;
}

export const defaultTiming: HostTiming = {
  loadSeconds: 30,
  startSeconds: 30,
  stopSeconds: 10,
  clientIdleSeconds: 60,
  pingSeconds: 1,
  stallSeconds: 10,
  spareSeconds: 0.25,
  spareResponseSeconds: 5,
  retrySeconds: 1,
  retrySecondsMax: 30,
  crashLoopCount: 3,
  crashWindowSeconds: 60,
};
