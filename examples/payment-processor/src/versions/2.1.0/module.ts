import { feeOf } from '../../fee.js';
import { paymentProcessor } from '../../payment-processor.js';

/** Says what a payment costs. */
export default paymentProcessor({ publishesFees: true, detailsOf: (payment) => ({ fee: feeOf(payment) }) });
