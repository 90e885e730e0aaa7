export { Agent, type Dismissal } from './agent.js';
export { Backoff } from './backoff.js';
export { ControlPlane, ControlPlaneError } from './control-plane.js';
export { DesiredState } from './desired-state.js';
export { DecommissionedError, Identity } from './identity.js';
export { Reporter } from './reporter.js';
export { writeFileAtomically } from './write-file-atomically.js';
