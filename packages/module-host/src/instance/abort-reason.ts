const given = new WeakSet<object>();

/** Why a module gets no more of a request. */
export function abortReason(message: string): DOMException {
  const reason = new DOMException(message, 'AbortError');
  given.add(reason);
  return reason;
}

/**
 * A module that begins to read a request and does not wait for it has a rejection that nobody handles when the client leaves, or when it answers first. Node
 * would end the process for that: with every request in it, at the bidding of any client. All other such rejections end it as ever.
 */
export function surviveAborts(): void {
  process.on('unhandledRejection', (reason) => {
    if (typeof reason === 'object' && reason !== null && given.has(reason)) return;
    // Where the module listens too, it has its own way.
    if (process.listenerCount('unhandledRejection') === 1) throw reason;
  });
}
