interface LogLine {
  (message: string): void;
  (fields: object, message: string): void;
}

/** Where the agent tells what becomes of it; a pino logger is one. */
export type AgentLog = Record<'debug' | 'info' | 'warn' | 'error', LogLine>;
