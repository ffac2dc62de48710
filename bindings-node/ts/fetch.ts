/** `fetch` with an API key that rotates. */

import { type ConnectOptions, Credential, LoginRejectedError, type SecretCache } from './index';
import { checkOptions } from './options';

/** How to call a service whose key is a secret. */
export interface SecretFetchOptions extends Pick<ConnectOptions, 'timeoutMs' | 'stages'> {
  /** What makes the requests. Default: the global `fetch`, as it is when a request is made. */
  fetch?: typeof fetch | undefined;
  /** The statuses by which the service says that it does not know the key. Default: 401. */
  rejectedStatuses?: readonly number[] | undefined;
}

/**
 * Makes a function like `fetch` whose requests carry an API key from a secret, and which survives the key's rotation: an
 * answer of status 401 makes it try the version that works now, as `connect` does.
 *
 * `authorize` puts the key into the headers of one attempt; it gets the secret as a whole (`secretString`) and, if it is a
 * JSON object, its fields (`get`). If the service refuses every version, its last answer comes back, as from `fetch`. What
 * it refused is remembered: as long as there is no other version, each call makes one request.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createFetch } from 'secretcache/fetch';
 *
 * const fetchPayments = createFetch(new SecretCache(), 'prod/payments/key', (headers, secret) => {
 *   headers.set('authorization', `Bearer ${secret.get('apiKey')}`);
 * });
 * const response = await fetchPayments('https://payments.example/v1/charges', { method: 'POST', body });
 * ```
 *
 * @throws {TypeError} For an option that does not exist.
 */
export function createFetch(
  cache: SecretCache,
  secretId: string,
  authorize: (headers: Headers, secret: Credential) => void,
  options: SecretFetchOptions = {},
): typeof fetch {
  checkOptions('createFetch', options, ['fetch', 'rejectedStatuses', 'timeoutMs', 'stages']);
  const { fetch: given, rejectedStatuses = [401], timeoutMs = 5000, stages } = options;
  const connecting = {
    timeoutMs,
    stages,
    plain: true,
    once: true,
    rejected: (error: unknown): boolean => error instanceof Refused,
  };

  return async (input, init) => {
    const send = given ?? globalThis.fetch;
    const request = new Request(input, init);
    let last: Response | undefined;
    const attempt = async (secret: Credential): Promise<Response> => {
      // Its connection is needed, and its body is of no interest.
      await last?.body?.cancel().catch(() => {});
      // A body can be sent once; the original is kept for the next attempt.
      const copy = request.clone();
      authorize(copy.headers, secret);
      last = await send(copy);
      if (rejectedStatuses.includes(last.status)) throw new Refused(last.status);
      return last;
    };
    try {
      return await cache.connect(secretId, attempt, { ...connecting, signal: request.signal });
    } catch (error) {
      if (error instanceof Refused || error instanceof LoginRejectedError) {
        if (last !== undefined) return last;
        // The version is known to be refused, and there is no other: the service says so again.
        const current = new Credential(await cache.getSecretValue(secretId), 'AWSCURRENT');
        return await attempt(current).catch((error: unknown) =>
          error instanceof Refused && last !== undefined ? last : Promise.reject(error),
        );
      }
      throw error;
    }
  };
}

class Refused extends Error {
  constructor(status: number) {
    super(`the service answered ${status}`);
  }
}
