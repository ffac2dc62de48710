/** A handler on AWS Lambda. The cache is made once; after the function was frozen, nothing old is served as fresh. */

import { SecretCache } from 'secretcache';

const cache = new SecretCache();

export const handler = async () => {
  const { username } = await cache.getSecretJson(process.env.SECRET_ID ?? 'prod/checkout/db');
  return { statusCode: 200, body: `hello, ${username}` };
};
