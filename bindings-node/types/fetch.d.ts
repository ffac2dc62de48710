/** `fetch` with an API key that rotates. */
import { type ConnectOptions, Credential, type SecretCache } from './index';
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
export declare function createFetch(cache: SecretCache, secretId: string, authorize: (headers: Headers, secret: Credential) => void, options?: SecretFetchOptions): typeof fetch;
