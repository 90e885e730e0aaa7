import { feeOf } from '../../fee.js';
import { paymentProcessor } from '../../payment-processor.js';
import { settlementTimeOf } from '../../settlement.js';

/** Says when a payment is settled, and fails one EUR payment in ten: made for seeing a rollout judged. */
export default paymentProcessor({
  publishesFees: true,
  detailsOf: (payment) => ({ fee: feeOf(payment), settlement: { time: settlementTimeOf(payment) } }),
});
