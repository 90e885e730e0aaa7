import { jest } from '@jest/globals';

/**
 * Of a test or hook that starts processes and waits for what they do: more than its waits take together, since those can say what they
 * waited for. Longer ones name their own.
 */
jest.setTimeout(600_000);
