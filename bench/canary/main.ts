import { AnalysisParameterError, resolveParameters } from '@hotswap/domain';
import { parseArgs } from 'node:util';
import { scenarios } from './scenario.js';
import type { Scenario } from './scenario.js';
import { deployScenario, judgeScenario, measureCost } from './tables.js';
import { passesQuickly } from './quick.js';
import type { ClosedLoopRow, Row, Share } from './tables.js';

const usage = `Usage: npm run bench:canary -- [options]
  --trials N          runs per row (default 100)
  --rows TEXT         only rows whose name contains TEXT; several with |
  --seed N            default 1
  --seconds N         length of a run (default 1800)
  --parameters JSON   parameters to replace, for example '{"twin":false}'
  --closed-loop       the table of deployments as driven by their proofs
  --cost              the cost of one evaluation alone
  --quick             a few rows on fixed seeds; fails where they are not as promised
  --json              one JSON object instead of tables`;

const simulatedPlan = {
  plan: [
    [1, 0.05, 60],
    ['all', 0.05, 300],
    ['all', 0.1, 300],
    ['all', 0.25, 600],
    ['all', 0.5, 600],
  ],
  R: [5, 5, 3, 3, 2],
};

function run(): void {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '100' },
      rows: { type: 'string', default: '' },
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '1800' },
      parameters: { type: 'string', default: '{}' },
      'closed-loop': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      cost: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
    },
  });
  if (values.quick) {
    if (!passesQuickly(resolveParameters(simulatedPlan))) process.exitCode = 1;
    return;
  }
  const options = {
    trials: readCount('trials', values.trials),
    seed: readCount('seed', values.seed),
    seconds: readCount('seconds', values.seconds),
  };
  const parameters = resolveParameters({ ...simulatedPlan, ...(JSON.parse(values.parameters) as object) });
  const wanted = values.rows.split('|');
  const chosen = scenarios.filter(({ name }) => wanted.some((text) => name.includes(text)));
  if (chosen.length === 0) throw new RangeError(`no row contains "${values.rows}"`);

  const print = values.json ? () => undefined : (line: string) => console.log(line);
  const rows: (Row | ClosedLoopRow)[] = [];
  const collect = <T extends Row | ClosedLoopRow>(
    header: string,
    group: readonly Scenario[],
    judge: (scenario: Scenario) => T,
    format: (row: T) => string,
  ) => {
    if (group.length === 0) return;
    print(`\n${header}\n${header.replace(/[^|]+/g, ' --- ')}`);
    for (const scenario of group) {
      const row = judge(scenario);
      rows.push(row);
      print(format(row));
    }
  };
  if (values.cost) {
    // Told below, as after every table.
  } else if (values['closed-loop']) {
    collect(closedLoopHeader, chosen, (scenario) => deployScenario(scenario, parameters, options), formatClosedLoop);
  } else {
    const judge = (scenario: Scenario) => judgeScenario(scenario, parameters, options);
    const groups = [true, false].map((isHealthy) => chosen.filter((scenario) => scenario.isHealthy === isHealthy));
    collect(healthyHeader, groups[0] ?? [], judge, formatHealthy);
    collect(worseHeader, groups[1] ?? [], judge, formatWorse);
  }
  const cost = measureCost(parameters, 1000);
  print(
    `\nOne evaluation of ${cost.nodeCount} nodes: CPU ${cost.cpuMilliseconds.toFixed(2)} ms in the mean, ${cost.cpuMillisecondsMax.toFixed(2)} ms in the dearest batch; wall ${cost.wallMedianMilliseconds.toFixed(2)} ms in the median, ${cost.wallP99Milliseconds.toFixed(2)} ms at p99; state ${Math.round(cost.stateBytes / 1024)} KiB as JSON.`,
  );
  if (values.json) console.log(JSON.stringify({ ...options, rows, cost }, null, 2));
}

function readCount(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000) {
    throw new RangeError(`--${name} must be a whole number from 1 to 1000000, not "${text}"`);
  }
  return value;
}

const healthyHeader =
  '| healthy candidate | runs | rolled back (95 % upper bound) | contained | coin doubted | thresholds | limits | Mann-Whitney |';
const worseHeader =
  '| regression | runs | rolled back | contained or rolled back, median s | failed until contained / in all | thresholds | limits | Mann-Whitney |';
const closedLoopHeader =
  '| candidate | runs | reached 100 % (median s) | rolled back (95 % upper bound; median s) | undecided | failed, median |';

function formatHealthy(row: Row): string {
  return `| ${row.name} | ${row.trials} | ${bounded(row.rolledBack)} | ${percent(row.contained.share)} | ${percent(row.voided.share)} | ${judges(row)} |`;
}

function formatWorse(row: Row): string {
  const when = `${row.containedMedianSeconds ?? '-'} / ${row.rolledBackMedianSeconds ?? '-'}`;
  const failed = `${row.failedUntilContainedMedian ?? '-'} / ${row.failedMedian ?? '-'}`;
  return `| ${row.name} | ${row.trials} | ${percent(row.rolledBack.share)} | ${when} | ${failed} | ${judges(row)} |`;
}

function formatClosedLoop(row: ClosedLoopRow): string {
  const promoted = `${percent(row.promoted.share)} (${row.promotedMedianSeconds ?? '-'})`;
  const rolledBack = `${bounded(row.rolledBack)}; ${row.rolledBackMedianSeconds ?? '-'}`;
  return `| ${row.name} | ${row.trials} | ${promoted} | ${rolledBack} | ${percent(row.undecided.share)} | ${row.failedMedian ?? '-'} |`;
}

function judges({ thresholds, limits, rankTest }: Row): string {
  return [thresholds, limits, rankTest].map(({ share }) => percent(share)).join(' | ');
}

function bounded({ share, upperBound }: Share): string {
  return `${percent(share)} (${percent(upperBound)})`;
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value === 0 ? '0' : value < 10 ? value.toFixed(2) : value.toFixed(0)} %`;
}

try {
  run();
} catch (error) {
  const isTheirs =
    error instanceof AnalysisParameterError || error instanceof SyntaxError || error instanceof RangeError;
  if (!isTheirs && !(error instanceof TypeError && 'code' in error)) throw error;
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
