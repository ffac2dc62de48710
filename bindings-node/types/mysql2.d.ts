/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mysql2`. */
import * as driver from 'mysql2';
import type * as promises from 'mysql2/promise';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** Settings of a pool: those of `mysql2`, without user name and password, which come from the secret. */
export type RotatingPoolOptions = Omit<driver.PoolOptions, 'user' | 'password'> & PoolingOptions;
/**
 * Makes a pool of `mysql2/promise` whose every new connection takes user name and password from one version of a secret:
 * the one that works, also during a rotation. Once a new version is current, connections of older versions close as soon
 * as they are free. Everything else (host, port, database, TLS, `uri`) is yours. The pool for callbacks is its property
 * `pool`.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mysql2';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const [rows] = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings or the URL hold a password.
 */
export declare function createPool(cache: SecretCache, secretId: string, options?: RotatingPoolOptions): promises.Pool;
/** The same pool for callbacks, as `mysql2` itself makes it. */
export declare function createCallbackPool(cache: SecretCache, secretId: string, options?: RotatingPoolOptions): driver.Pool;
