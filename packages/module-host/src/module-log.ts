/** One line for the node's log. */
export interface ModuleLogEntry {
  level: 'debug' | 'info' | 'warn' | 'error';
  /** `module`: its console output, by stream; `host`: what the host has to say of it. */
  source: 'module' | 'host';
  module: string;
  /** `name@version`; null: of the module as a whole. */
  release: string | null;
  pid: number | null;
  message: string;
}

export type ModuleLog = (entry: ModuleLogEntry) => void;
