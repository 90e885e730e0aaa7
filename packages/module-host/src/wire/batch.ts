// What crosses the wire are batches, each of the frames of one event-loop turn: one write, and all their text encoded at once. Integers are
// unsigned, 32 bits, little-endian.
//
//   batch   bytes that follow | number of frames | bytes of text | one entry per frame | text | bytes
//   entry   type + flags | id | bytes of head | bytes of body
//
// `text` is Latin-1: each frame's head and, where it is ASCII, its body. `bytes` are the other bodies.

export const batchHeaderBytes = 12;
export const entryBytes = 16;

/** Largest state that is handed over. */
export const stateBytesMax = 64 * 1024 * 1024;

/** Largest batch that the kernel takes from an instance: a state, and what is written in the same turn; everything else is far smaller. */
export const batchBytesMax = stateBytesMax + 1024 * 1024;

export const typeMask = 0xff;
export const flags = { hasBody: 0x100, isText: 0x200, isLast: 0x400 } as const;
