import type { DeploymentNow, MeasuresNow, NodeNow, StandingNow } from './control-plane.js';

export interface Scene {
  title: string;
  seconds: number;
  deployment: DeploymentNow | null;
  nodes: readonly NodeNow[];
  measures: MeasuresNow;
  standing: StandingNow | null;
  failed: number;
  requests: number;
}

const barWidth = 20;
const evidenceToAct = 100;
const proofToGoOn = 20;

/** The scene as lines for a terminal of that width. */
export function drawPicture(scene: Scene, width: number): string[] {
  const { title, seconds, deployment, nodes, measures, standing, failed, requests } = scene;
  return [
    `HotSwap · ${title} · ${seconds.toFixed(0)} s`,
    deployment
      ? `${deployment.version}: ${deployment.status}. ${deployment.reason.message}`
      : 'Nothing is being deployed',
    '',
    ...nodes.map((node, index) => nodeLine(node, index)),
    '',
    ...measures.modules
      .filter((module) => module.requests > 0)
      .map(
        ({ version, requests: count, failures, latencyMs }) =>
          `  ${version.padEnd(8)} ${String(count).padStart(6)} requests in 10 s, ${share(failures, count).padStart(7)} failed, p95 ${latencyMs.p95 === null ? '-' : `${latencyMs.p95.toFixed(1)} ms`}`,
      ),
    '',
    ...(standing ? evidenceLines(standing) : ['  evidence       none is gathered now']),
    `  people         ${failed} of ${requests} payments failed so far (${share(failed, requests)})`,
  ].map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** The scene as one line, where there is no terminal. */
export function tellScene({ seconds, deployment, nodes, standing, failed, requests }: Scene): string {
  const shares = nodes.map(({ modules }) => modules.map(tellShare).join('/')).join(' ');
  const evidence = standing ? `evidence against ${number(standing.E)}, for ${number(lesser(standing))}` : 'no evidence';
  return `${seconds.toFixed(0).padStart(4)} s  ${deployment ? `${deployment.version} ${deployment.status}` : 'idle'}  nodes ${shares}  ${evidence}  failed ${failed}/${requests}`;
}

function nodeLine({ state, modules }: NodeNow, index: number): string {
  const [module] = modules;
  if (!module) return `  node ${index + 1}  ${state}`;
  const percent = module.candidateVersion ? module.candidatePercent : 0;
  const filled = Math.round((percent / 100) * barWidth);
  const bar = '█'.repeat(filled) + '·'.repeat(barWidth - filled);
  return `  node ${index + 1}  ${state.padEnd(8)} ${(module.activeVersion ?? '-').padEnd(7)} ${bar} ${module.candidateVersion ? `${module.candidateVersion} ${percent} %` : ''}`;
}

function tellShare({ activeVersion, candidateVersion, candidatePercent }: NodeNow['modules'][number]): string {
  return candidateVersion ? `${activeVersion ?? '-'}+${candidateVersion}@${candidatePercent}%` : (activeVersion ?? '-');
}

function evidenceLines(standing: StandingNow): string[] {
  return [
    `  against it     ${meter(standing.E, evidenceToAct)} ${number(standing.E)} of ${evidenceToAct}`,
    `  for it         ${meter(lesser(standing), proofToGoOn)} ${number(lesser(standing))} of ${proofToGoOn}`,
  ];
}

function lesser({ proof }: StandingNow): number {
  return Math.min(proof.errors, proof.latency);
}

/** Evidence multiplies, so that its logarithm is what grows evenly. */
function meter(value: number, full: number): string {
  const filled = Math.round(barWidth * Math.min(1, Math.max(0, Math.log(Math.max(1, value)) / Math.log(full))));
  return '█'.repeat(filled) + '·'.repeat(barWidth - filled);
}

function number(value: number): string {
  return value >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

export function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((100 * part) / whole).toFixed(2)} %`;
}
