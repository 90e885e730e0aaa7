import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { rehearse } from '../src/instance/rehearsal.js';

const statistics = { cpuSeconds: 0, rssBytes: 0, eventLoopDelaySeconds: 0 };

/** Notes what is done, in its order. */
function rehearseUntil(isCalled: (done: string[]) => boolean): { done: string[]; isThrough: Promise<void> } {
  const done: string[] = [];
  const isThrough = new Promise<void>((resolve) => {
    const answer = Response.json.bind(Response);
    jest.spyOn(Response, 'json').mockImplementation((data) => {
      done.push('request');
      resolve();
      return answer(data);
    });
  });
  const takeStatistics = () => {
    done.push('sign of life');
    return statistics;
  };
  rehearse(takeStatistics, () => isCalled(done));
  return { done, isThrough };
}

afterEach(() => void jest.restoreAllMocks());

describe('What waits in reserve', () => {
  it('rehearses a sign of life and a request', async () => {
    const { done, isThrough } = rehearseUntil(() => false);
    await isThrough;
    expect(done).toEqual(['sign of life', 'request']);
  });

  it.each([
    ['at once', 0, []],
    ['in the middle', 1, ['sign of life']],
  ])('leaves what it has not begun once it is called: %s', async (_, count, expected) => {
    const { done } = rehearseUntil(({ length }) => length >= count);
    await pause(300);
    expect(done).toEqual(expected);
  });
});
