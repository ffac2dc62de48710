/** What a bundle is made of: a handler as on Lambda. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();

export const handler = async () => cache.getSecretString('db');
