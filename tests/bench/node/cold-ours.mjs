/** Loads the cache, reads one secret and exits. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();
if ((await cache.getSecretString('bench/0')) !== 'value') process.exitCode = 1;
