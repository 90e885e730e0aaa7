/**
 * Why something is as it is: a stable code, a sentence with its numbers for people, and the numbers for programs. A wait that ends by itself has
 * `untilAt` (ISO 8601) among them: then at the latest, if nobody pauses it and the control plane listens.
 */
export interface Reason {
  code: string;
  message: string;
  data: Record<string, unknown>;
}

export function reason(code: string, message: string, data: Record<string, unknown> = {}): Reason {
  return { code, message, data };
}

/** "41 s", "2.5 s": a duration for people. */
export function inSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return `${seconds >= 10 ? Math.round(seconds) : Math.round(seconds * 10) / 10} s`;
}

/** "30 %", "0.25 %": a share (0-1) for people. */
export function inPercent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
