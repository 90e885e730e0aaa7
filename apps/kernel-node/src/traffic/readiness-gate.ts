import type { ModuleAssignment, ModuleReport } from '@hotswap/agent-protocol';

/**
 * Which modules have to be active for the node to get traffic: those desired when it became ready, and those that were active since. So a
 * node does not come up without a module it should have, or stay up when it loses one; but the first deployment of a new module to a
 * node that serves others takes nothing from these, should it fail.
 */
export class ReadinessGate {
  private readonly expected = new Set<string>();

  /** The node becomes ready: everything desired is expected from now on. */
  open(assignments: readonly ModuleAssignment[]): void {
    for (const { module, active } of assignments) if (active) this.expected.add(module);
  }

  observe(assignments: readonly ModuleAssignment[], reports: readonly ModuleReport[]): void {
    for (const { module, active } of reports) if (active !== null) this.expected.add(module);
    const desired = new Set(assignments.filter(({ active }) => active).map(({ module }) => module));
    for (const module of this.expected) if (!desired.has(module)) this.expected.delete(module);
  }

  /** Expected modules that no release serves. */
  missing(reports: readonly ModuleReport[]): string[] {
    const served = new Set(reports.filter(({ active }) => active !== null).map(({ module }) => module));
    return [...this.expected].filter((module) => !served.has(module));
  }
}
