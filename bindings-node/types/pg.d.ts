/** PostgreSQL pools that stay connected while their password rotates, for the package `pg`. */
import * as driver from 'pg';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** Settings of a pool: those of `pg`, without user name and password, which come from the secret. */
export type RotatingPoolConfig = Omit<driver.PoolConfig, 'user' | 'password'> & PoolingOptions;
/**
 * Makes a `pg.Pool` whose every new connection takes user name and password from one version of a secret: one that
 * works, even during a rotation. Once a new version is current, connections of older versions close as soon as they are
 * free. You give everything else (host, port, database, TLS, `connectionString`).
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/pg';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout', max: 20 });
 * const { rows } = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export declare function createPool(cache: SecretCache, secretId: string, config?: RotatingPoolConfig): driver.Pool;
