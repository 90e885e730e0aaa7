import { DecommissionedError } from '@hotswap/node-agent';
import { type Ending, KernelNode } from './kernel-node.js';
import { createLog } from './log.js';
import { readSettings, type Settings, SettingsError } from './settings.js';

/** How the process ends tells its supervisor whether to start it again; see docs/kernel-node.md. */
const exitCodes: Record<Ending, number> = { stopped: 0, decommissioned: 0, fenced: 3 };
const exitCodeFailed = 1;
const exitCodeSettings = 2;

function readSettingsOrExit(): Settings {
  try {
    return readSettings(process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    process.exit(exitCodeSettings);
  }
}

const settings = readSettingsOrExit();
const log = createLog(settings);
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'the node failed');
  process.exit(exitCodeFailed);
});

const node = await KernelNode.start(settings, log).catch((error: Error) => {
  if (error instanceof DecommissionedError) {
    log.warn(error.message);
    process.exit(exitCodes.decommissioned);
  }
  log.fatal(`the node can't start: ${error.message}`);
  process.exit(exitCodeFailed);
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => node.leave('stopped'));
process.exit(exitCodes[await node.ended]);
