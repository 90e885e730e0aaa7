import Sequencer from '@jest/test-sequencer';

/** The end-to-end tests first: they take longest and mostly wait, so that there is something to do beside them until the end. */
export default class EndToEndFirst extends Sequencer {
  sort(tests) {
    const rank = ({ context }) => (context.config.displayName?.name === 'e2e' ? 0 : 1);
    return super.sort(tests).sort((a, b) => rank(a) - rank(b));
  }
}
