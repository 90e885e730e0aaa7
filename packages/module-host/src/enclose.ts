import { ConsoleLines } from './console-lines.js';
import type { Enclosure } from './enclosure.js';
import { InstanceProcess } from './instance-process.js';
import { InstanceThread } from './instance-thread.js';
import type { ModuleLogEntry } from './module-log.js';
import type { LoadableRelease } from './release.js';

/** Makes what an instance runs in. @param log gets the module's console output. */
export type Enclose = (
  release: LoadableRelease,
  log: (level: ModuleLogEntry['level'], source: ModuleLogEntry['source'], message: string) => void,
) => Enclosure;

/** In what the manifest asks for. */
export const enclose: Enclose = (release, log) => {
  const enclosure =
    release.manifest.isolation === 'thread' ? new InstanceThread(release) : new InstanceProcess(release);
  const { stdout, stderr } = enclosure.output;
  const dropped = (count: number) =>
    log('warn', 'host', `${count} lines of output were left out: too many in a second.`);
  new ConsoleLines(stdout, (line) => log('info', 'module', line), dropped);
  new ConsoleLines(stderr, (line) => log('error', 'module', line), dropped);
  return enclosure;
};
