/** The cache as programs use it. */
import { EventEmitter } from 'node:events';
import { type ConnectOptions } from './connect';
import { SecretCacheError, type SecretCacheErrorCode } from './errors';
import { type SecretCacheOptions } from './settings';
import type { Credential, SecretValue } from './value';
/** Which version to read, how old it may be, and until when to wait. */
export interface GetOptions {
    /** The staging label of the version; otherwise the cache's `versionStage`. */
    versionStage?: string | undefined;
    /** The id of the version, whatever its labels. */
    versionId?: string | undefined;
    /**
     * How old the value may be, in milliseconds since it was last confirmed. An older one is refreshed first, and the read
     * fails if that does. 0 asks the service. Default: the cache's `refreshIntervalMs`, kept in the background.
     */
    maxAgeMs?: number | undefined;
    /** Ends the wait with the signal's reason. The request itself continues for others who wait for it. */
    signal?: AbortSignal | undefined;
}
/** A refresh brought another version than the one held. */
export interface NewVersionEvent {
    /** The id the secret is asked for with. */
    readonly secretId: string;
    /** The staging label it is asked for with. */
    readonly versionStage: string | undefined;
    /** The version held before. */
    readonly oldVersionId: string | undefined;
    /** The version held from now on. */
    readonly newVersionId: string | undefined;
}
/** Reads get a value past its freshness, because it cannot be refreshed. Emitted once per spell. */
export interface StaleEvent {
    /** The id the secret is asked for with. */
    readonly secretId: string;
    /** Milliseconds since the value was last confirmed. */
    readonly ageMs: number;
    /** The failure, if there was one rather than a wait that took too long. */
    readonly error: SecretCacheError | undefined;
}
/** A fetch or refresh failed. */
export interface RefreshErrorEvent {
    /** The id the secret is asked for with. */
    readonly secretId: string;
    /** Why. */
    readonly error: SecretCacheError;
}
/**
 * A login succeeded with another version than the current one, as it does while a rotation is between its steps. If it
 * continues, the current version is broken. Emitted with the first such login, and then once a minute while there are any.
 */
export interface FallbackLoginEvent {
    /** The id the secret is asked for with. */
    readonly secretId: string;
    /** The staging label of the version that logged in. */
    readonly versionStage: string;
    /** Its id. */
    readonly versionId: string;
}
/** The events of a cache, by name. None is named `error`, which would end a process that does not listen. */
export interface SecretCacheEvents {
    newVersion: [NewVersionEvent];
    stale: [StaleEvent];
    refreshError: [RefreshErrorEvent];
    fallbackLogin: [FallbackLoginEvent];
}
/** What a cache has done so far in this process, and holds now. Threads that share it share the counts. */
export interface Stats {
    /** Reads answered from memory, stale ones included. */
    hits: number;
    /** Reads that found nothing cached. */
    missesAbsent: number;
    /** Reads that found a value past its freshness and had to wait for the service. */
    missesExpired: number;
    /** Reads answered with a value past its freshness, because it could not be refreshed. */
    staleServed: number;
    /** Reads that waited for a request another thread had started. Reads of one thread wait together, as one. */
    coalesced: number;
    /** Refreshes that succeeded, whether or not they brought a new version. */
    refreshes: number;
    /** New versions seen in place of old ones. */
    rotationsObserved: number;
    /** Secrets dropped to keep within the size. */
    evictions: number;
    /** Calls to the service, by operation. */
    apiCalls: Record<string, number>;
    /** Failed fetches, by error code. */
    failures: Partial<Record<SecretCacheErrorCode, number>>;
    /** What resources said to logins of `connect` and of pools. */
    logins: LoginStats;
    /** What is cached now. */
    secrets: SecretStatus[];
}
/** What resources said to logins. */
export interface LoginStats {
    /** Logins taken. */
    accepted: number;
    /** Those among them with another version than the current one. */
    fallbackLogins: number;
    /** Logins refused. A rotation costs one, and one more for each that was under way at that moment. */
    rejected: number;
}
/** One cached version of a secret. */
export interface SecretStatus {
    /** The id it was asked for with. */
    secretId: string;
    /** The staging label it was asked for with. */
    versionStage?: string | undefined;
    /** The version held, if one is. */
    versionId?: string | undefined;
    /** Milliseconds since it was last confirmed. */
    ageMs?: number | undefined;
    /** Milliseconds until the next refresh is due; 0 if it is due now. */
    nextRefreshMs?: number | undefined;
    /** Why the last fetch failed, if it did. */
    lastError?: SecretCacheErrorCode | undefined;
    /** Consecutive failures. */
    failures: number;
}
/** While it is open, its secret counts as in use. */
export interface Watch {
    /** From now on only reads count. */
    close(): void;
}
/**
 * Secrets from memory, kept fresh in the background.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 *
 * const cache = new SecretCache({ region: 'eu-central-1' });
 * const { username, password } = await cache.getSecretJson('prod/checkout/db');
 * ```
 *
 * Nothing is started before the first read. Any number of reads of one secret cause one request; while a value is in
 * use it is refreshed beside its readers; if the service is unreachable, you keep the last known value.
 * Background work never keeps the process alive. Without a `client`, caches of the same settings in different worker
 * threads are one cache.
 */
export declare class SecretCache extends EventEmitter<SecretCacheEvents> {
    #private;
    /** @throws {TypeError | SecretCacheError} Naming the option that makes no sense, and what was probably meant. */
    constructor(options?: SecretCacheOptions);
    /**
     * Reads the secret string: from memory, or after one request for all who wait.
     *
     * ```js
     * const key = await cache.getSecretString('prod/payments/key', { signal: AbortSignal.timeout(500) });
     * ```
     *
     * @throws {SecretCacheError} If there is no value to serve, with the reason as its `code`; `WRONG_TYPE` for a binary
     * secret. {@link TypeError} for arguments that make no sense, the signal's reason once that is aborted.
     */
    getSecretString(id: string, options?: GetOptions): Promise<string>;
    /**
     * Reads the secret binary. The buffer is the caller's own.
     *
     * ```js
     * const keystore = await cache.getSecretBinary('prod/checkout/keystore');
     * ```
     *
     * @throws As {@link getSecretString}; `WRONG_TYPE` for a secret that is a string.
     */
    getSecretBinary(id: string, options?: GetOptions): Promise<Buffer>;
    /**
     * Reads a secret string and parses it as JSON. The result is the caller's own.
     *
     * `T` is what the program expects; it is not checked.
     *
     * ```ts
     * const { username, password } = await cache.getSecretJson<{ username: string; password: string }>('prod/checkout/db');
     * ```
     *
     * @throws As {@link getSecretString}; `NOT_JSON` for a string that is no JSON, which the error does not quote.
     */
    getSecretJson<T = any>(id: string, options?: GetOptions): Promise<T>;
    /**
     * Reads one field of a secret that is a JSON object: `cache.getSecretField('prod/checkout/db', 'password')`. The secret
     * is parsed once for each version, so that this is about as fast as reading the string.
     *
     * The value is as JSON has it: a string, number, boolean or null; an object or array is frozen, as all callers share it.
     *
     * ```js
     * const password = await cache.getSecretField('prod/checkout/db', 'password');
     * ```
     *
     * @throws As {@link getSecretJson}; `FIELD_NOT_FOUND` if the secret has no such field, with the names of those it has.
     */
    getSecretField<T = any>(id: string, field: string, options?: GetOptions): Promise<T>;
    /**
     * Reads several secrets: those that are not cached are fetched twenty in a call (with a client of your own, one by one).
     * Gives their values by the ids asked for, in that order: a string, or a buffer for a binary secret.
     *
     * ```js
     * const secrets = await cache.getSecrets(['prod/checkout/db', 'prod/payments/key']);
     * const key = secrets.get('prod/payments/key');
     * ```
     *
     * @throws As {@link getSecretString}, with the first error, if one of them cannot be read. To go on without it, call
     * {@link prefetch}, which gives the errors, and read the others.
     */
    getSecrets(ids: Iterable<string>, options?: Pick<GetOptions, 'signal'>): Promise<Map<string, string | Buffer>>;
    /**
     * Reads a whole version: value, ARN, name, version id, staging labels, creation date.
     *
     * ```js
     * const { versionId, secretString } = await cache.getSecretValue('prod/checkout/db', { versionStage: 'AWSPREVIOUS' });
     * ```
     *
     * @throws As {@link getSecretString}.
     */
    getSecretValue(id: string, options?: GetOptions): Promise<SecretValue>;
    /**
     * Gives the last-known value, a string or, for a binary secret, a buffer; undefined if there is none. Never waits and
     * never asks anybody. It counts as a read, so the value is kept fresh.
     */
    peek(id: string): string | Buffer | undefined;
    /**
     * Fetches the secret's current version now, whatever its age, and forgets earlier failures.
     *
     * @throws {SecretCacheError} If that fails; reads then keep getting the last known value.
     */
    refreshSecretNow(id: string): Promise<void>;
    /**
     * Fetches secrets before they are read, twenty in a call (with a client of the program's own, one by one), and gives
     * the errors of those it could not have. What is cached and not due is left alone.
     *
     * ```js
     * const failed = await cache.prefetch(['prod/checkout/db', 'prod/payments/key']);
     * for (const [id, error] of failed) console.warn(id, error.code);
     * ```
     *
     * @throws {TypeError} If it is given one string; {@link SecretCacheError} `CLOSED` once the cache is closed.
     */
    prefetch(ids: Iterable<string>): Promise<Map<string, SecretCacheError>>;
    /** Forgets a secret with all its versions: the next read fetches it. */
    invalidate(id: string): void;
    /**
     * Connects to the resource that a secret is the credential of, also while it rotates; gives what `login` gives.
     *
     * ```js
     * const client = await cache.connect('prod/checkout/db', async ({ username, password, host }) => {
     *   const client = new pg.Client({ user: username, password, host });
     *   await client.connect();
     *   return client;
     * });
     * ```
     *
     * The cached current version is tried first. If `login` throws an error that `options.rejected` takes for a refused
     * login, the version is fetched again, then `AWSPENDING` is tried, which is the one that works while a rotation is
     * between its steps, then `AWSPREVIOUS`, and after a wait all over again. Any other error passes through untouched.
     * What was taken and refused is remembered for all callers, so that a rotation costs one refused login, not one for
     * each connection.
     *
     * A login that has not ended when the time is up is given up: `login` gets a signal that is then aborted.
     *
     * @throws {LoginRejectedError} If no version logs in before the time is up; what `login` throws otherwise; as
     * {@link getSecretString} where no version can be read, and `NOT_JSON` for a secret without fields unless
     * `options.plain`.
     */
    connect<T>(id: string, login: (credential: Credential, signal: AbortSignal) => T | PromiseLike<T>, options?: ConnectOptions): Promise<T>;
    /**
     * Has a secret count as in use until the result is closed, as if it were read all the time: its current version is kept
     * fresh once it has been read, and a new one is noticed. For pools, which read a credential only when they connect.
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
     * Counts what the cache has done so far, and lists what it holds now. Never shows a value. Times are milliseconds.
     *
     * ```js
     * const { hits, missesExpired, apiCalls } = cache.stats();
     * ```
     */
    stats(): Stats;
    /** Forgets every value, ends the background work, and refuses further reads. Other threads go on with theirs. */
    close(): Promise<void>;
    /** As {@link close}, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
    /**
     * Tells whether a connection that was made with this version should be replaced when it is not in use: another version
     * is current, or the resource has refused this one and takes another. For pools.
     */
    isOutdated(id: string, versionId: string): boolean;
}
