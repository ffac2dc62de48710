/** TypeORM data sources that stay connected while their password rotates. */
import type { SecretCache } from './index';
import type { PoolingOptions } from './pooling';
/**
 * Returns the `driver` option for TypeORM, for PostgreSQL (with `pg`) and for MySQL and MariaDB (with `mysql2`). Every
 * new connection logs in with the user name and password of a version of the secret that works, even during a rotation.
 * Leave out `username` and `password`.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { driver } from 'secretcache/typeorm';
 * import { DataSource } from 'typeorm';
 *
 * const source = new DataSource({
 *   type: 'postgres',
 *   host: 'db.internal',
 *   database: 'checkout',
 *   driver: driver(new SecretCache(), 'prod/checkout/db'),
 * });
 * ```
 */
export declare function driver(cache: SecretCache, secretId: string, options?: PoolingOptions): object;
