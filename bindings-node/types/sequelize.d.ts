/** Sequelize 6 instances that stay connected while their password rotates. */
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/**
 * Returns the `dialectModule` option for Sequelize, for the dialects `postgres` (with `pg`) and `mysql` (with `mysql2`,
 * also for MariaDB). Every new connection logs in with the user name and password of a version of the secret that works,
 * even during a rotation. Once a new version is current, connections of older versions are not used again. Leave out
 * user name and password.
 *
 * ```js
 * import { Sequelize } from 'sequelize';
 * import { SecretCache } from 'secretcache';
 * import { dialectModule } from 'secretcache/sequelize';
 *
 * const sequelize = new Sequelize({
 *   dialect: 'postgres',
 *   host: 'db.internal',
 *   database: 'checkout',
 *   dialectModule: dialectModule(new SecretCache(), 'prod/checkout/db'),
 * });
 * ```
 */
export declare function dialectModule(cache: SecretCache, secretId: string, options?: PoolingOptions): object;
