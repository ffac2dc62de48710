/** The public cache class. */
import { EventEmitter } from 'node:events';
import { type ConnectOptions } from './connect';
import { SecretCacheError } from './errors';
import type { SecretCacheEvents } from './events';
import { type SecretCacheOptions } from './settings';
import type { Stats } from './stats';
import type { Credential, SecretValue } from './value';
/** Which version to read, how old it may be, and how long to wait. */
export interface GetOptions {
    /** The staging label of the version. Default: the cache's `versionStage`. */
    versionStage?: string | undefined;
    /** The id of the version, whatever its labels. */
    versionId?: string | undefined;
    /**
     * How old the value may be, in milliseconds since its last successful refresh. An older value is refreshed first; if
     * that fails, the read fails. 0 asks the service. Default: no limit; the cache refreshes in the background.
     */
    maxAgeMs?: number | undefined;
    /** Ends the wait with the signal's reason. The request itself continues for other readers. */
    signal?: AbortSignal | undefined;
}
/** A handle that makes a secret count as in use, and keeps it refreshed, until it is closed. */
export interface Watch {
    /** Ends the watch. */
    close(): void;
}
/**
 * A cache that returns secrets from memory and refreshes them in the background.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 *
 * const cache = new SecretCache({ region: 'eu-central-1' });
 * const { username, password } = await cache.getSecretJson('prod/checkout/db');
 * ```
 *
 * Nothing starts before the first read. Any number of concurrent reads of one secret make one request. A value in use
 * is refreshed in the background; if the service is unreachable, you keep the last known value. Background work never
 * keeps the process alive. Without a `client`, caches with the same settings in different worker threads are one cache.
 */
export declare class SecretCache extends EventEmitter<SecretCacheEvents> {
    #private;
    /** @throws {TypeError | SecretCacheError} If an option is wrong; the message names it and suggests the right one. */
    constructor(options?: SecretCacheOptions);
    /**
     * Reads the secret string, from memory or with one request for all concurrent reads.
     *
     * ```js
     * const key = await cache.getSecretString('prod/payments/key', { signal: AbortSignal.timeout(500) });
     * ```
     *
     * @throws {SecretCacheError} If there is no value to serve; `code` says why. `WRONG_TYPE` for a binary secret. {@link
     * TypeError} for wrong arguments; the signal's reason when it is aborted.
     */
    getSecretString(id: string, options?: GetOptions): Promise<string>;
    /**
     * Reads the secret binary. The caller may change the buffer.
     *
     * ```js
     * const keystore = await cache.getSecretBinary('prod/checkout/keystore');
     * ```
     *
     * @throws As {@link getSecretString}; `WRONG_TYPE` for a secret that is a string.
     */
    getSecretBinary(id: string, options?: GetOptions): Promise<Buffer>;
    /**
     * Reads a secret string and parses it as JSON. The caller may change the result.
     *
     * `T` is the type that the program expects; it is not checked.
     *
     * ```ts
     * const { username, password } = await cache.getSecretJson<{ username: string; password: string
     * }>('prod/checkout/db');
     * ```
     *
     * @throws As {@link getSecretString}; `NOT_JSON` if the string is not JSON; the error does not quote it.
     */
    getSecretJson<T = any>(id: string, options?: GetOptions): Promise<T>;
    /**
     * Reads one field of a secret that is a JSON object. The secret is parsed once for each version, so this is about as
     * fast as reading the string.
     *
     * The value is a string, number, boolean or null, or a frozen object or array, because all callers share it.
     *
     * ```js
     * const password = await cache.getSecretField('prod/checkout/db', 'password');
     * ```
     *
     * @throws As {@link getSecretJson}; `FIELD_NOT_FOUND` if the secret has no such field; the error names the fields it
     * has.
     */
    getSecretField<T = any>(id: string, field: string, options?: GetOptions): Promise<T>;
    /**
     * Reads several secrets. Those that are not cached are fetched twenty per call (one by one with a client that you
     * pass). Returns the values by id, in the order of `ids`: a string, or a buffer for a binary secret.
     *
     * ```js
     * const secrets = await cache.getSecrets(['prod/checkout/db', 'prod/payments/key']);
     * const key = secrets.get('prod/payments/key');
     * ```
     *
     * @throws As {@link getSecretString}, with the first error, if one of them cannot be read. To continue without it,
     * call {@link prefetch}, which returns all errors, and read the others.
     */
    getSecrets(ids: Iterable<string>, options?: Pick<GetOptions, 'signal'>): Promise<Map<string, string | Buffer>>;
    /**
     * Reads a whole version: value, ARN, name, version id, staging labels, creation date.
     *
     * ```js
     * const { versionId, secretString } = await cache.getSecretValue('prod/checkout/db', { versionStage: 'AWSPREVIOUS'
     * });
     * ```
     *
     * @throws As {@link getSecretString}.
     */
    getSecretValue(id: string, options?: GetOptions): Promise<SecretValue>;
    /**
     * Returns the last known value: a string or, for a binary secret, a buffer; undefined if there is none. Never waits
     * and makes no request. It counts as a read, so the value is kept fresh.
     */
    peek(id: string): string | Buffer | undefined;
    /**
     * Fetches the secret's current version now, whatever its age, and forgets earlier failures.
     *
     * @throws {SecretCacheError} If that fails; reads then keep getting the last known value.
     */
    refreshSecretNow(id: string): Promise<void>;
    /**
     * Fetches secrets before they are read, twenty per call (one by one with a client that you pass), and returns the
     * errors of those that failed. Secrets that are cached and not due are skipped.
     *
     * ```js
     * const failed = await cache.prefetch(['prod/checkout/db', 'prod/payments/key']);
     * for (const [id, error] of failed) console.warn(id, error.code);
     * ```
     *
     * @throws {TypeError} If you pass a single string; {@link SecretCacheError} `CLOSED` after the cache is closed.
     */
    prefetch(ids: Iterable<string>): Promise<Map<string, SecretCacheError>>;
    /** Forgets a secret with all its versions: the next read fetches it. */
    invalidate(id: string): void;
    /**
     * Connects to the database (or other server) that the secret is for, even during a rotation. Returns what `login`
     * returns.
     *
     * ```js
     * const client = await cache.connect('prod/checkout/db', async ({ username, password, host }) => {
     *   const client = new pg.Client({ user: username, password, host });
     *   await client.connect();
     *   return client;
     * });
     * ```
     *
     * It tries the cached current version first. If `login` throws an error that means a refused login
     * (`options.rejected` decides), it fetches the version again, then tries `AWSPENDING`, which works in the middle of a
     * rotation, then `AWSPREVIOUS`, then pauses and starts again. Any other error is thrown unchanged. Accepted and
     * refused versions are remembered for all callers, so a rotation costs one refused login, not one for each
     * connection.
     *
     * When the time is up, a login in progress is abandoned: the signal that `login` gets is aborted.
     *
     * @throws {LoginRejectedError} If no version logs in before the time is up. Otherwise, what `login` throws; as {@link
     * getSecretString} if no version can be read; `NOT_JSON` for a secret without fields unless `options.plain`.
     */
    connect<T>(id: string, login: (credential: Credential, signal: AbortSignal) => T | PromiseLike<T>, options?: ConnectOptions): Promise<T>;
    /**
     * Makes a secret count as in use until the result is closed, as if it were read all the time: after its first read it
     * is kept fresh, and new versions are noticed. For pools, which read a credential only when they connect.
     *
     * ```js
     * const watch = cache.watch('prod/checkout/db');
     * cache.on('newVersion', ({ secretId }) => console.log(`${secretId} has rotated`));
     * // When the pool has ended:
     * watch.close();
     * ```
     */
    watch(id: string): Watch;
    /**
     * Returns counters and the list of cached secrets, without values. Times are milliseconds.
     *
     * ```js
     * const { hits, missesExpired, apiCalls } = cache.stats();
     * ```
     */
    stats(): Stats;
    /**
     * Forgets every value, ends the background work, and refuses further reads. The caches of other threads are not
     * affected.
     */
    close(): Promise<void>;
    /** As {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
    /**
     * Returns whether to replace a connection made with this version when it is idle, because another version is current
     * or this one was refused. For pools.
     */
    isOutdated(id: string, versionId: string): boolean;
}
