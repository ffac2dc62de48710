/** Connects while a secret rotates: carries out the steps of a connect attempt that the core decides on. */
import type { Reader } from './reader';
import { Credential } from './value';
/** A staging label that `connect` tries. */
export type ConnectStage = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';
/** Options of `connect`. */
export interface ConnectOptions {
    /** How long to try, in milliseconds. Default: 30 000. */
    timeoutMs?: number | undefined;
    /** An alias for `timeoutMs`. */
    timeout?: number | undefined;
    /** Whether an error means that the login is refused. Default: {@link isRejectedLogin}. */
    rejected?: ((error: unknown) => boolean) | undefined;
    /** The staging labels to try, in this order. Default: `AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`. */
    stages?: readonly ConnectStage[] | undefined;
    /** Whether the secret may be a plain string, such as an API key, rather than a JSON object. Default: false. */
    plain?: boolean | undefined;
    /** Ends the attempt with the signal's reason. A login in progress is not interrupted. */
    signal?: AbortSignal | undefined;
}
type LogIn<T> = (credential: Credential, signal: AbortSignal) => T | PromiseLike<T>;
/** Connects with the first credential that `login` accepts. */
export declare function connect<T>(reader: Reader, secretId: string, login: LogIn<T>, options: ConnectOptions): Promise<T>;
/**
 * Returns whether an error means that the login is refused. Knows pg, postgres.js, mysql2, mariadb, redis, ioredis, and
 * HTTP status 401; also through PgBouncer and RDS Proxy, and if another library wraps the driver's error (`cause`,
 * `parent`).
 *
 * ```js
 * import { isRejectedLogin } from 'secretcache';
 *
 * isRejectedLogin(Object.assign(new Error('Access denied'), { errno: 1045 })); // true
 * ```
 */
export declare function isRejectedLogin(error: unknown): boolean;
export {};
