/** The source of the bundle tests: a Lambda handler. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();

export const handler = async () => cache.getSecretString('db');
