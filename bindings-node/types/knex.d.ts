/** knex configurations that stay connected while their password rotates. */
import { type Knex } from 'knex';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** A configuration of knex whose `connection` is an object, without user name and password: they come from the secret. */
export interface RotatingKnexConfig extends Omit<Knex.Config, 'connection'>, PoolingOptions {
    connection?: Readonly<Record<string, unknown>>;
}
/**
 * Makes a knex instance whose every new connection takes user name and password from one version of a secret: the one that
 * works, also while it rotates. When a new version is current, connections of older ones are not used again. Host, port and
 * database are the program's own.
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
 */
export declare function createKnex(cache: SecretCache, secretId: string, config: RotatingKnexConfig): Knex;
