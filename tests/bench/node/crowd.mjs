/** Many concurrent first reads of one secret; prints how many were answered. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();
const reads = Array.from({ length: Number(process.argv[2]) }, () => cache.getSecretString('bench/0'));
console.log((await Promise.all(reads)).filter((value) => value === 'value').length);
