import { HostError, replyOf } from '@hotswap/module-host';
import { isSound, type SimulatedVersion } from '../behaviour.js';
import type { NodeChecker } from '../checkers/node-checker.js';
import type { Counts, Findings } from '../findings.js';
import type { Machine, SimulatedNode } from '../node/simulated-node.js';
import type { Random } from '../runtime/random.js';
import type { Scheduler } from '../runtime/scheduler.js';
import { SimulatedProcess } from '../runtime/simulated-process.js';

const rule = 'No request is lost on a node that was not killed, but by the fault of the version that it was given to';

/** People who use the modules: their requests reach nodes that are ready, as a balancer would send them. */
export class Users {
  private readonly process = new SimulatedProcess('users');

  constructor(
    private readonly scheduler: Scheduler,
    private readonly random: Random,
    private readonly machines: () => readonly Machine[],
    private readonly modules: readonly string[],
    private readonly versions: ReadonlyMap<string, SimulatedVersion>,
    private readonly nodeChecker: NodeChecker,
    private readonly findings: Findings,
    private readonly counts: Counts,
    private readonly requestsPerNodeSecond: number,
  ) {}

  start(): void {
    const next = () => {
      const machine = this.random.pick(this.machines());
      const module = this.random.pick(this.modules);
      const node = machine?.node;
      if (node && module && machine.isUp && node.state === 'Ready')
        this.scheduler.schedule(node.process, 0.2, () => this.ask(node, module));
      const perSecond = Math.max(1, this.machines().length) * this.requestsPerNodeSecond;
      this.scheduler.schedule(this.process, this.random.between(0, 2000 / perSecond), next);
    };
    this.scheduler.schedule(this.process, 0, next);
  }

  private ask(node: SimulatedNode, module: string): void {
    if (node.state !== 'Ready') return;
    const isServed = node.host.reports().some((report) => report.module === module && report.active !== null);
    if (!isServed) return;
    this.counts.add('requests');
    const startedAt = this.scheduler.now;
    const { signal } = new AbortController();
    const url = `http://node/${module}`;
    const request = { method: 'GET', url, headers: [], body: null, signal };
    replyOf((reply) => node.host.handle(module, request, reply)).then(
      ({ status }) => this.counts.add(status < 500 ? 'requests answered' : 'requests answered 500'),
      (error: Error) => {
        // A kernel that stood still itself takes the time for its instance's.
        if (node.process.frozenUntil < startedAt) this.failed(node, module, error);
      },
    );
  }

  private failed(node: SimulatedNode, module: string, error: Error): void {
    this.counts.add('requests failed');
    const release = error instanceof HostError ? error.release : null;
    const version = [...this.versions.values()].find((each) => release === `${each.module}@${each.version}`);
    const isExcused = version ? !isSound(version) : this.nodeChecker.isAtFault(node, module);
    if (!isExcused) this.findings.add(rule, `${node.process.name} ${release ?? module}: ${error.message}`);
  }
}
