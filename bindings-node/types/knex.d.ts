/** knex instances that stay connected while their password rotates. */
import { type Knex } from 'knex';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** A knex configuration, without user name and password in its `connection`, which come from the secret. */
export interface RotatingKnexConfig extends Omit<Knex.Config, 'connection'>, PoolingOptions {
    /** Host, port, database and the like, or a URL; without a password. */
    connection?: string | Readonly<Record<string, unknown>> | undefined;
}
/**
 * Makes a knex instance. Every new connection logs in with the user name and password of a version of the secret that
 * works, even during a rotation. Once a new version is current, connections of older versions are not used again. You
 * set host, port and database.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createKnex } from 'secretcache/knex';
 *
 * const knex = createKnex(new SecretCache(), 'prod/checkout/db', {
 *   client: 'pg',
 *   connection: { host: 'db.internal', database: 'checkout' },
 * });
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export declare function createKnex(cache: SecretCache, secretId: string, config: RotatingKnexConfig): Knex;
