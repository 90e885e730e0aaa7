/** How the API is reached and whom it trusts; also the injection token. */
export abstract class ApiSettings {
  /** The address the server is bound to. */
  abstract readonly host: string;
  /** Bearer token that every call but health and documentation needs; null: open. */
  abstract readonly apiToken: string | null;
  /** Bearer token with which unknown nodes join; null: open to this machine, and only where the API is bound to loopback and open. */
  abstract readonly joinToken: string | null;
  /** Writes that one address may send per minute. */
  abstract readonly writesPerMinuteMax: number;
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '::1', '[::1]']);

/** True for the names and addresses that mean this machine. */
export function isLoopback(host: string): boolean {
  return loopbackNames.has(host.toLowerCase()) || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
}
