export { create } from '../../swapped-server.mjs';
