import { CreateEnvironmentsAndModules1764000000001 } from './1764000000001-create-environments-and-modules.js';
import { CreateDeployments1764000000002 } from './1764000000002-create-deployments.js';
import { CreateNodes1764000000003 } from './1764000000003-create-nodes.js';
import { KeepExposure1764000000010 } from './1764000000010-keep-exposure.js';
import { CreateOpsViews1764000000011 } from './1764000000011-create-ops-views.js';
import { LetDeploymentsSupersede1764000000020 } from './1764000000020-let-deployments-supersede.js';
import { PackTraffic1764000000040 } from './1764000000040-pack-traffic.js';
import { AskOutside1764000000041 } from './1764000000041-ask-outside.js';
import { WithdrawAndDrain1764000000050 } from './1764000000050-withdraw-and-drain.js';
import { KeepWaysBack1764000000060 } from './1764000000060-keep-ways-back.js';
import { FreezeAndRetry1764000000070 } from './1764000000070-freeze-and-retry.js';
import { KeepProbes1764000000080 } from './1764000000080-keep-probes.js';
import { CountUnloadingNodes1764000000160 } from './1764000000160-count-unloading-nodes.js';
import { FindHeldStages1764000000170 } from './1764000000170-find-held-stages.js';

/** In the order in which they run. */
export const migrations = [
  CreateEnvironmentsAndModules1764000000001,
  CreateDeployments1764000000002,
  CreateNodes1764000000003,
  KeepExposure1764000000010,
  CreateOpsViews1764000000011,
  LetDeploymentsSupersede1764000000020,
  PackTraffic1764000000040,
  AskOutside1764000000041,
  WithdrawAndDrain1764000000050,
  KeepWaysBack1764000000060,
  FreezeAndRetry1764000000070,
  KeepProbes1764000000080,
  CountUnloadingNodes1764000000160,
  FindHeldStages1764000000170,
];
