/** A process from its start to its first secret. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();
if ((await cache.getSecretString('bench/0')) !== 'value') process.exitCode = 1;
