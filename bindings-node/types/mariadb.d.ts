/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mariadb`. */
import type * as driver from 'mariadb';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** The settings of a `mariadb` pool, without user name and password, which come from the secret. */
export type RotatingPoolConfig = Omit<driver.PoolConfig, 'user' | 'password'> & PoolingOptions;
/**
 * Makes a `mariadb` pool. Every new connection logs in with the user name and password of a version of the secret that
 * works, even during a rotation. Once a new version is current, connections of older versions close as soon as they are
 * free. You set everything else (host, port, database, TLS). You can pass the pool to Prisma's `PrismaMariaDb`.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mariadb';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const rows = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings contain a password.
 */
export declare function createPool(cache: SecretCache, secretId: string, config?: RotatingPoolConfig): driver.Pool;
