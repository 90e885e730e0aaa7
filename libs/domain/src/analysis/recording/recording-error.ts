/** What is wrong with a recording, and in which line (from 1). */
export class RecordingError extends Error {
  override name = 'RecordingError';

  constructor(
    readonly lineNumber: number,
    readonly problem: string,
  ) {
    super(`line ${lineNumber}: ${problem}`);
  }
}
