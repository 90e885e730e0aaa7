import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { KernelNode, ModuleObservation, NodeAssignment } from '@hotswap/domain';

const moduleStates = ['Absent', 'Loading', 'Active', 'Failed'] as const;
type ModuleState = (typeof moduleStates)[number];

const gettingReady = new Set(['Fetching', 'Verifying', 'Loading', 'Starting', 'Ready']);

@ApiSchema({ name: 'ModuleOnNode' })
export class ModuleOnNodeDto {
  @ApiProperty({ example: 'payment-processor' })
  name!: string;

  @ApiProperty({ type: 'string', nullable: true, example: '2.0.0' })
  activeVersion!: string | null;

  @ApiProperty({ type: 'string', nullable: true, example: null })
  candidateVersion!: string | null;

  @ApiProperty({
    minimum: 0,
    maximum: 100,
    description: 'Share of the requests that the candidate is given.',
    example: 0,
  })
  candidatePercent!: number;

  @ApiProperty({ type: [String], description: 'Started, but given no requests.', example: [] })
  warmVersions!: string[];

  @ApiProperty({ enum: moduleStates, example: 'Active' })
  state!: ModuleState;

  @ApiProperty({ type: 'string', nullable: true, example: null })
  lastError!: string | null;
}

/** What a node says of each module that it has or is wanted to have, by name. */
export function showModulesOfNode(node: KernelNode): ModuleOnNodeDto[] {
  const { assignments, observations } = node.facts;
  return [...new Set([...assignments.keys(), ...observations.keys()])]
    .sort()
    .filter(
      (name) => assignments.get(name)?.active || assignments.get(name)?.candidate || isThere(observations.get(name)),
    )
    .map((name) => showModule(name, assignments.get(name), observations.get(name)));
}

function showModule(name: string, wanted?: NodeAssignment, seen?: ModuleObservation): ModuleOnNodeDto {
  const versionOf = (digest: string | null) => (digest === null ? null : versionIn(digest, wanted, seen));
  return {
    name,
    activeVersion: versionOf(seen?.active ?? null),
    candidateVersion: versionOf(seen?.candidate ?? null),
    candidatePercent: seen?.candidatePercent ?? 0,
    warmVersions: seen?.instances.filter(({ state }) => state === 'Warm').map(({ version }) => version) ?? [],
    state: stateOf(seen),
    lastError: seen?.instances.find(({ error }) => error !== null)?.error ?? null,
  };
}

// A node that serves is Active even while another release of the module fails beside it: `lastError` tells.
function stateOf(seen: ModuleObservation | undefined): ModuleState {
  if (!seen) return 'Absent';
  if (seen.active !== null) return 'Active';
  if (seen.instances.some(({ state }) => state === 'Failed')) return 'Failed';
  return seen.instances.some(({ state }) => gettingReady.has(state)) ? 'Loading' : 'Absent';
}

function isThere(seen: ModuleObservation | undefined): boolean {
  return seen !== undefined && (seen.active !== null || seen.instances.length > 0);
}

function versionIn(digest: string, wanted?: NodeAssignment, seen?: ModuleObservation): string | null {
  const releases = wanted ? [wanted.active, wanted.candidate, wanted.fallback, ...wanted.warm] : [];
  return (
    seen?.instances.find(({ release }) => release === digest)?.version ??
    releases.find((release) => release?.digest === digest)?.version ??
    null
  );
}
