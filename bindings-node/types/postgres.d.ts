/** Clients of the package `postgres` (postgres.js) that stay connected while their password rotates. */
import type postgres = require('postgres');
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** The settings of a `postgres` client, without user name and password, which come from the secret. */
export type RotatingSqlOptions = Omit<postgres.Options<Record<string, postgres.PostgresType>>, 'user' | 'username' | 'pass' | 'password' | 'socket'> & PoolingOptions & {
    /** The URL of the server, instead of host, port and database. */
    url?: string | undefined;
};
/**
 * Makes a client like `postgres()` does: a function for tagged queries, with a pool behind it. Every new connection logs
 * in with the user name and password of a version of the secret that works, even during a rotation. Connections stay
 * open for `max_lifetime`, when the driver closes them. You set one host, port, database and TLS.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createSql } from 'secretcache/postgres';
 *
 * const sql = createSql(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const rows = await sql`select now()`;
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password, or several hosts.
 */
export declare function createSql(cache: SecretCache, secretId: string, options?: RotatingSqlOptions): postgres.Sql;
