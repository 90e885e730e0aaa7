import { describe, expect, it } from '@jest/globals';
import { drawPicture, tellScene, type Scene } from '../src/picture.js';

const scene: Scene = {
  title: '2.2.0 goes out',
  seconds: 12.4,
  deployment: { id: 'x', version: '2.2.0', status: 'Running', reason: { message: 'step 1' } },
  nodes: [
    {
      id: 'a',
      address: 'http://127.0.0.1:1',
      state: 'Ready',
      modules: [{ name: 'p', activeVersion: '2.1.0', candidateVersion: '2.2.0', candidatePercent: 50 }],
    },
    { id: 'b', address: 'http://127.0.0.1:2', state: 'Lost', modules: [] },
  ],
  measures: { modules: [{ name: 'p', version: '2.2.0', requests: 200, failures: 3, latencyMs: { p95: 4.25 } }] },
  standing: { E: 10, proof: { errors: 4.5, latency: 30 } },
  failed: 3,
  requests: 400,
};

describe('the picture', () => {
  it('shows nodes with their shares, what versions met, and evidence both ways', () => {
    const picture = drawPicture(scene, 200).join('\n');
    expect(picture).toContain('node 1  Ready    2.1.0   ██████████·········· 2.2.0 50 %');
    expect(picture).toContain('200 requests in 10 s,  1.50 % failed, p95 4.3 ms');
    expect(picture).toContain('██████████·········· 10 of 100');
    expect(picture).toContain('4.5 of 20');
    expect(picture).toContain('3 of 400 payments failed so far (0.75 %)');
  });

  it('fits the terminal, and goes without deployment and evidence', () => {
    const lines = drawPicture({ ...scene, deployment: null, standing: null }, 40);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(lines.join('\n')).toContain('none is gathered');
  });

  it('is one line where there is no terminal', () => {
    expect(tellScene(scene)).toBe(
      '  12 s  2.2.0 Running  nodes 2.1.0+2.2.0@50%   evidence against 10, for 4.5  failed 3/400',
    );
  });
});
