/** A middy middleware that gives a Lambda handler its secrets. */
import type { SecretCache } from './index';
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
export declare function secrets(options: SecretsOptions): {
    before(request: Request): Promise<void>;
};
export {};
