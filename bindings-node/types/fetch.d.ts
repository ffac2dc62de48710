/** `fetch` with an API key that rotates. */
import { type ConnectOptions, type Credential, type SecretCache } from './index';
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
export declare function createFetch(cache: SecretCache, secretId: string, authorize: (headers: Headers, secret: Credential) => void, options?: SecretFetchOptions): typeof fetch;
