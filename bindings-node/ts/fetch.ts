/** `fetch` with an API key that rotates. */

import { type ConnectOptions, type Credential, LoginRejectedError, type SecretCache } from './index';

/** How to call a service whose key is a secret. */
export interface SecretFetchOptions extends Pick<ConnectOptions, 'timeoutMs' | 'stages'> {
  /** What makes the requests. Default: the global `fetch`. */
  fetch?: typeof fetch;
  /** The statuses by which the service says that it does not know the key. Default: 401. */
  rejectedStatuses?: readonly number[];
}

/**
 * Makes a function like `fetch` whose requests carry an API key from a secret, and which survives the key's rotation: an
 * answer of status 401 makes it try the version that works now, as `connect` does.
 *
 * `authorize` puts the key into the headers of one attempt; it gets the secret as a whole (`secretString`) and, if it is a
 * JSON object, its fields (`get`). If no version is taken, the service's last answer is what comes back, as from `fetch`.
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
 */
export function createFetch(
  cache: SecretCache,
  secretId: string,
  authorize: (headers: Headers, secret: Credential) => void,
  options: SecretFetchOptions = {},
): typeof fetch {
  const { fetch: send = fetch, rejectedStatuses = [401], ...connecting } = options;

  return async (input, init) => {
    const request = new Request(input, init);
    const attempt = async (secret: Credential): Promise<Response> => {
      // A body can be sent once; the original is kept for the next attempt.
      const copy = request.clone();
      authorize(copy.headers, secret);
      const response = await send(copy);
      if (rejectedStatuses.includes(response.status)) throw new Refused(response);
      return response;
    };
    const rejected = (error: unknown): boolean => error instanceof Refused;
    try {
      return await cache.connect(secretId, attempt, { timeoutMs: 5000, ...connecting, plain: true, rejected, signal: request.signal });
    } catch (error) {
      if (error instanceof LoginRejectedError && error.cause instanceof Refused) return error.cause.response;
      throw error;
    }
  };
}

class Refused extends Error {
  constructor(readonly response: Response) {
    super(`the service answered ${response.status}`);
  }
}
