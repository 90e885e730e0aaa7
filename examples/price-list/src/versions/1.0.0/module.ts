import { priceList } from '../../price-list.js';

export default priceList();
