/** A handler on AWS Lambda. It creates the cache once. After a freeze, no old value is served as fresh. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();

export const handler = async () => {
  const { username } = await cache.getSecretJson(process.env.SECRET_ID ?? 'prod/checkout/db');
  return { statusCode: 200, body: `hello, ${username}` };
};
