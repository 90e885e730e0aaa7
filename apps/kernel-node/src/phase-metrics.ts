import type { Phase } from '@hotswap/module-host';
import { Counter, Histogram, type Registry } from 'prom-client';

const boundsSeconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What swaps cost, phase by phase. */
export class PhaseMetrics {
  private readonly duration: Histogram<'module' | 'phase'>;
  private readonly failures: Counter<'module' | 'phase'>;
  private readonly loads: Counter<'module' | 'into'>;
  private readonly requests: Counter<'module' | 'outcome'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.duration = new Histogram({
      name: 'hotswap_phase_duration_seconds',
      help: 'How long what was done with a release took.',
      labelNames: ['module', 'phase'],
      buckets: boundsSeconds,
      registers,
    });
    this.failures = new Counter({
      name: 'hotswap_phase_failures_total',
      help: 'What was done with a release and failed.',
      labelNames: ['module', 'phase'],
      registers,
    });
    this.loads = new Counter({
      name: 'hotswap_loads_total',
      help: 'Loads, by what into: a spare process, started ahead, or a new one.',
      labelNames: ['module', 'into'],
      registers,
    });
    this.requests = new Counter({
      name: 'hotswap_swap_requests_total',
      help: 'Requests that a swap met: held while state changed hands; in flight, and drained or cut.',
      labelNames: ['module', 'outcome'],
      registers,
    });
  }

  observe({ phase, spec: { module }, startedAt, endedAt, error, figures }: Phase): void {
    this.duration.observe({ module, phase }, (endedAt - startedAt) / 1000);
    if (error !== null) this.failures.inc({ module, phase });
    if (figures.isSpare !== undefined) this.loads.inc({ module, into: figures.isSpare ? 'spare' : 'new' });
    for (const outcome of ['held', 'drained', 'cut'] as const)
      if (figures[outcome]) this.requests.inc({ module, outcome }, figures[outcome]);
  }
}
