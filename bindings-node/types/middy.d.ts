/** A middleware of middy that gives a Lambda handler its secrets. */
import type { SecretCache } from './index';
/** Which secrets a handler gets. */
export interface SecretsOptions {
    /** The cache, made once outside the handler. */
    cache: SecretCache;
    /** The id of the secret for each name under which the handler finds it. */
    fetchData: Readonly<Record<string, string>>;
    /** Whether the values are put into the handler's `context`, too, and not only into `request.internal`. Default: true. */
    setToContext?: boolean | undefined;
}
interface Request {
    context: object;
    internal: Record<string, unknown>;
}
/**
 * Reads secrets before each invocation, from memory but for the first: a JSON object as its fields, any other secret as its
 * string or bytes. In place of `@middy/secrets-manager`, whose options `fetchData` and `setToContext` these are.
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
