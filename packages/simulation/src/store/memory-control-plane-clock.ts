import { beatGapMilliseconds } from '@hotswap/domain';
import { ControlPlaneClock } from '@hotswap/orchestrator';
import type { MemoryDatabase } from './memory-database.js';

const firstBeatGapMilliseconds = 2_000;
const gapDaysMax = 24 * 3_600_000;

/** One per control plane process: its first beat ends a gap sooner. */
export class MemoryControlPlaneClock extends ControlPlaneClock {
  private hasBeaten = false;

  constructor(private readonly database: MemoryDatabase) {
    super();
  }

  async beat(): Promise<void> {
    const gapMilliseconds = this.hasBeaten ? beatGapMilliseconds : firstBeatGapMilliseconds;
    this.database.transaction((writer) => {
      const { beatAt, evidence } = writer.read;
      const { now } = writer;
      if (beatAt !== null && now - beatAt > gapMilliseconds) {
        writer.append('gaps', { from: beatAt, to: now });
        for (const [key, row] of evidence)
          if (row.status === 'Requested')
            writer.set('evidence', key, { ...row, deadlineAt: row.deadlineAt + (now - beatAt) });
      }
      writer.replace('beatAt', Math.max(beatAt ?? now, now));
    });
    this.hasBeaten = true;
  }

  async prune(): Promise<void> {
    this.database.transaction((writer) => {
      const kept = writer.read.gaps.filter(({ to }) => to >= writer.now - gapDaysMax);
      if (kept.length < writer.read.gaps.length) writer.replace('gaps', kept);
    });
  }
}
