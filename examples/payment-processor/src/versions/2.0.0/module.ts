import { paymentProcessor } from '../../payment-processor.js';

export default paymentProcessor({ publishesFees: false, detailsOf: () => ({}) });
