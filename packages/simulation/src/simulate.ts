import { Logger } from '@nestjs/common';
import type { RolloutStore } from '@hotswap/orchestrator';
import { Chaos } from './chaos.js';
import { convergenceRule, findUnrest } from './checkers/convergence.js';
import { ListeningChecker } from './checkers/listening-checker.js';
import { NodeChecker } from './checkers/node-checker.js';
import { RollingChecker } from './checkers/rolling-checker.js';
import { RowChecker } from './checkers/row-checker.js';
import { findCases } from './exercised.js';
import { Counts, Findings, type Finding } from './findings.js';
import { Operators } from './people/operators.js';
import { Users } from './people/users.js';
import { instantOf } from './runtime/install-world.js';
import { Random } from './runtime/random.js';
import { SimulatedProcess } from './runtime/simulated-process.js';
import { drawScenario } from './scenario.js';
import type { Tables } from './store/memory-database.js';
import { World, type Composition } from './world.js';

const convergeMilliseconds = 240_000;
const restCheckMilliseconds = 1_000;
const requestsPerNodeSecond = 0.8;
const eventsMax = 400_000;

export interface Outcome {
  seed: number;
  findings: readonly Finding[];
  counts: ReadonlyMap<string, number>;
  log: string;
  digest: string;
}

/** Runs one seed: first with everything going wrong, then with nothing. Ends with the first finding. */
export async function simulate(seed: number, composition: Composition): Promise<Outcome> {
  const random = new Random(seed);
  const scenario = drawScenario(random);
  const scheduler = World.schedule(random);
  const findings = new Findings(() => scheduler.now);
  const counts = new Counts();
  const rows = new RowChecker(findings, counts);
  const nodes = new NodeChecker(findings, counts);
  const rolling = new RollingChecker(() => instantOf(scheduler.now), findings, counts);
  const listening = new ListeningChecker(findings);
  const world: World = new World(
    scenario,
    random,
    findings,
    counts,
    watched(composition, listening, counts),
    {
      onCommit: (before, after) => {
        rows.onCommit(before, after);
        nodes.onCommit(before, after);
        rolling.onCommit(before, after);
        if (before.beatAt !== after.beatAt && after.beatAt !== null) listening.onBeat(after.beatAt);
        for (const decision of after.decisions.slice(before.decisions.length)) listening.onDecision(after, decision);
        tell(world, before, after);
      },
      onBooted: (node) => nodes.onBooted(node),
      onLoaded: (node, version) => nodes.onLoaded(node, version),
      onFault: (node, version) => nodes.onFault(node, version),
      onObserved: (node) => {
        nodes.onObserved(node);
        rolling.onObserved(node);
      },
    },
    scheduler,
  );
  logTo(world);
  const onUnhandled = (error: unknown) =>
    findings.add(
      'Nothing is thrown that nobody catches',
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  process.on('unhandledRejection', onUnhandled);

  world.begin();
  const operators = new Operators(
    scheduler,
    random.fork(),
    scenario,
    world.database,
    world.deployments,
    world.clusters,
    () => world.server.isRefusing,
    world.log,
    counts,
  );
  const users = new Users(
    scheduler,
    random.fork(),
    () => world.machines,
    scenario.modules,
    world.versions,
    nodes,
    findings,
    counts,
    requestsPerNodeSecond,
  );
  const chaos = new Chaos(world);
  const faultMilliseconds = scenario.faultSeconds * 1000;
  users.start();
  operators.start(faultMilliseconds);
  chaos.start();
  let isResting = false;
  const end = new SimulatedProcess('end');
  scheduler.schedule(end, faultMilliseconds, () => {
    world.log.write('end', 'faults off');
    chaos.stop();
    void operators.settle();
    const look = () => {
      chaos.supervise();
      const unrest = findUnrest(world);
      isResting = unrest.length === 0;
      if (scheduler.now > faultMilliseconds + convergeMilliseconds && !isResting)
        findings.add(convergenceRule, unrest.join('; '));
      scheduler.schedule(end, restCheckMilliseconds, look);
    };
    scheduler.schedule(end, 5_000, look);
  });
  const isOver = () => {
    if (scheduler.eventCount > eventsMax) findings.add('A simulation comes to its end', `${eventsMax} events`);
    return isResting || findings.any;
  };
  await scheduler.run(isOver, () => undefined);
  process.off('unhandledRejection', onUnhandled);
  for (const replica of world.replicas) replica.kill();
  countUp(world, counts);
  for (const { rule, detail } of findings.all) world.log.write('FINDING', `${rule}: ${detail}`);
  return { seed, findings: findings.all, counts: counts.all, log: world.log.text, digest: world.log.digest };
}

/** Shows the checkers every view that a replica decides on. */
function watched({ controlPlane, node }: Composition, listening: ListeningChecker, counts: Counts): Composition {
  const rollouts = (store: RolloutStore): RolloutStore => {
    const sound = controlPlane.rollouts(store);
    return {
      claimDue: (limit, leaseSeconds) => sound.claimDue(limit, leaseSeconds),
      commit: async (view, decision) => {
        const outcome = await sound.commit(view, decision);
        counts.add(outcome === 'committed' ? 'commits' : 'commits superseded');
        return outcome;
      },
      loadView: async (id) => {
        const view = await sound.loadView(id);
        if (view) listening.onView(view);
        counts.add('nodes lost', view?.environment?.cluster.lost.length ?? 0);
        return view;
      },
    };
  };
  return { controlPlane: { ...controlPlane, rollouts }, node };
}

function tell({ log }: World, before: Tables, after: Tables): void {
  for (const { deploymentId, type, stage, environment, message } of after.events.slice(before.events.length))
    log.write(
      'database',
      `${deploymentId.slice(-4)} ${type} ${[stage, environment, message].filter(Boolean).join(' ')}`,
    );
}

function logTo({ log, scheduler, findings }: World): void {
  const write = (level: string) => (message: unknown) => {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    log.write(scheduler.current.name, `${level} ${text}`);
    if (text.startsWith('Decision refused')) findings.add('No decision breaks an invariant', text);
  };
  Logger.overrideLogger({ log: () => undefined, warn: write('warn'), error: write('error') });
}

function countUp({ scheduler, network, server, log }: World, counts: Counts): void {
  for (const name of findCases(log.text)) counts.add(name);
  counts.add('events', scheduler.eventCount);
  counts.add('seconds simulated', Math.round(scheduler.now / 1000));
  counts.add('commits with a replica ended under them', server.counts.orphaned);
  counts.add('messages lost', network.counts.lost);
  counts.add('messages late', network.counts.late);
  counts.add('messages doubled', network.counts.doubled);
  counts.add('database calls', server.counts.calls);
  counts.add('database calls refused', server.counts.refused);
}
