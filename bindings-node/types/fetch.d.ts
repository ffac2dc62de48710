/** `fetch` with an API key that rotates. */
import { type ConnectOptions, type Credential, type SecretCache } from './index';
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
export declare function createFetch(cache: SecretCache, secretId: string, authorize: (headers: Headers, secret: Credential) => void, options?: SecretFetchOptions): typeof fetch;
