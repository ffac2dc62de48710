/** A middy middleware that gives a Lambda handler its secrets. */

import type { SecretCache } from './index';
import { checkOptions } from './options';

/** Which secrets a handler gets. */
export interface SecretsOptions {
  /** The cache; create it once, outside the handler. */
  cache: SecretCache;
  /** Secret ids, by the name under which the handler finds the value. */
  fetchData: Readonly<Record<string, string>>;
  /** Whether to also put the values into the handler's `context`, not only into `request.internal`. Default: true. */
  setToContext?: boolean | undefined;
}

interface Request {
  context: object;
  internal: Record<string, unknown>;
}

/**
 * Reads secrets before each invocation, from memory after the first one: a JSON object as its fields, any other secret
 * as its string or bytes. Replaces `@middy/secrets-manager`, with the same options `fetchData` and `setToContext`.
 *
 * ```js
 * import middy from '@middy/core';
 * import { SecretCache } from 'secretcache';
 * import { secrets } from 'secretcache/middy';
 *
 * const cache = new SecretCache();
 * export const handler = middy()
 *   .use(secrets({ cache, fetchData: { payments: 'prod/payments/key' } }))
 *   .handler(async (event, { payments }) => charge(event, payments.apiKey));
 * ```
 *
 * For a database, use a pool (`secretcache/pg`): it stays connected through a rotation.
 *
 * @throws {TypeError} For an option that does not exist.
 */
export function secrets(options: SecretsOptions): { before(request: Request): Promise<void> } {
  checkOptions('secrets', options, ['cache', 'fetchData', 'setToContext'], {
    cacheexpiry: 'set refreshIntervalMs of the cache',
    awsclient: 'pass a client to the cache',
    awsclientoptions: 'pass region, endpoint and the like to the cache',
    fetchrotationdate: 'the cache refreshes more often while a rotation is due',
    disableprefetch: 'the cache reads nothing before the first invocation',
  });
  const { cache, fetchData, setToContext = true } = options;
  const ids = Object.values(fetchData);
  return {
    async before(request): Promise<void> {
      const values = await cache.getSecrets(new Set(ids));
      const found = Object.fromEntries(Object.entries(fetchData).map(([name, id]) => [name, parsed(values.get(id))]));
      Object.assign(request.internal, found);
      if (setToContext) Object.assign(request.context, found);
    },
  };
}

function parsed(value: string | Buffer | undefined): unknown {
  if (typeof value !== 'string') return value;
  try {
    const object: unknown = JSON.parse(value);
    return typeof object === 'object' && object !== null ? object : value;
  } catch {
    return value;
  }
}
