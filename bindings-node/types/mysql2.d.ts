/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mysql2`. */
import * as driver from 'mysql2';
import type * as promises from 'mysql2/promise';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** The settings of a `mysql2` pool, without user name and password, which come from the secret. */
export type RotatingPoolOptions = Omit<driver.PoolOptions, 'user' | 'password'> & PoolingOptions;
/**
 * Makes a `mysql2/promise` pool. Every new connection logs in with the user name and password of a version of the secret
 * that works, even during a rotation. Once a new version is current, connections of older versions close as soon as they
 * are free. You set everything else (host, port, database, TLS, `uri`). Its property `pool` is the callback-style pool.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mysql2';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const [rows] = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export declare function createPool(cache: SecretCache, secretId: string, options?: RotatingPoolOptions): promises.Pool;
/** Makes the same pool in callback style, as `createPool` of `mysql2` does. */
export declare function createCallbackPool(cache: SecretCache, secretId: string, options?: RotatingPoolOptions): driver.Pool;
