/** `fetch` with an API key that rotates. */

import { type ConnectOptions, type Credential, isRejectedLogin, LoginRejectedError, type SecretCache } from './index';
import { checkOptions } from './options';

/** Options of `createFetch`. */
export interface SecretFetchOptions extends Pick<ConnectOptions, 'stages'> {
  /** How long it may take to find a key, in milliseconds, without the time the service takes to respond. Default: 5000. */
  timeoutMs?: number | undefined;
  /** The function that sends requests. Default: the global `fetch`, looked up at each request. */
  fetch?: typeof fetch | undefined;
  /** The HTTP statuses that mean the service refuses the key. Default: 401. */
  rejectedStatuses?: readonly number[] | undefined;
}

/**
 * Returns a function like `fetch` that sends an API key from a secret and keeps working while the key rotates: after
 * status 401 it sends the request again with the version that works, as `connect` does.
 *
 * `authorize` sets the key in the headers of one request. It gets the secret (`secretString`) and, if that is a JSON
 * object, its fields (`get`). If the service refuses every version, its last response is returned, as by `fetch`.
 * Refused versions are remembered: until there is another version, most calls make one request. `fetch` follows
 * redirects, and sends any header but `authorization` to other hosts too: with another header, pass `redirect: 'error'`.
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
  const { fetch: given, rejectedStatuses, timeoutMs = 5000, stages } = options;
  const connecting = {
    timeoutMs,
    stages,
    plain: true,
    isRequest: true,
    rejected: (error: unknown): boolean => error instanceof Refused,
  };

  const isRejected = (status: number): boolean => rejectedStatuses?.includes(status) ?? isRejectedLogin({ status });

  return async (input, init) => {
    const send = given ?? globalThis.fetch;
    const request = new Request(input, init);
    let last: Response | undefined;
    const attempt = async (secret: Credential): Promise<Response> => {
      // Frees the connection of the refused response, whose body is not read.
      await last?.body?.cancel().catch(() => {});
      // A body can be sent only once, so the original is kept for the next attempt.
      const copy = request.clone();
      authorize(copy.headers, secret);
      last = await send(copy);
      if (isRejected(last.status)) throw new Refused(last.status);
      return last;
    };
    try {
      return await cache.connect(secretId, attempt, { ...connecting, signal: request.signal });
    } catch (error) {
      if (error instanceof LoginRejectedError && last !== undefined) return last;
      throw error;
    }
  };
}

/** The service refused the key. */
class Refused extends Error {
  constructor(status: number) {
    super(`the service answered ${status}`);
  }
}
