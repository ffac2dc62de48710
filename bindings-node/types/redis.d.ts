/** Redis clients that stay connected while their password rotates, for the package `redis`. */
import { createClient as makeClient, createCluster as makeCluster, createClientPool as makePool, type RedisClientOptions, type RedisClusterOptions, type RedisPoolOptions } from 'redis';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** The settings of a `redis` client, without user name and password, which come from the secret. */
export type RotatingClientOptions = Omit<RedisClientOptions, 'username' | 'password' | 'credentialsProvider'> & PoolingOptions;
/** The settings of a `redis` cluster. `defaults` has no user name and password, because they come from the secret. */
export interface RotatingClusterOptions extends Omit<RedisClusterOptions, 'defaults'>, PoolingOptions {
    defaults?: Omit<RedisClientOptions, 'username' | 'password' | 'credentialsProvider' | 'url'>;
}
type Client = ReturnType<typeof makeClient>;
type Pool = ReturnType<typeof makePool>;
type Cluster = ReturnType<typeof makeCluster>;
/**
 * Makes a `redis` client. When it connects or reconnects, it logs in with the user name and password of a version of the
 * secret that works, even during a rotation. Once a new version is current, it logs in again on its open connection.
 *
 * Each login is first tried on a separate connection, because `redis` sends queued commands right after a login and
 * fails them (`NOAUTH`) if it is refused. If the password changes at that very moment, `redis` emits the client's
 * `error` event and reconnects.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createClient } from 'secretcache/redis';
 *
 * const client = createClient(new SecretCache(), 'prod/checkout/redis', { socket: { host: 'redis.internal' } });
 * client.on('error', (error) => console.warn(error.message));
 * await client.connect();
 * ```
 */
export declare function createClient(cache: SecretCache, secretId: string, options?: RotatingClientOptions): Client;
/**
 * Makes a `redis` pool. Every new connection logs in with the user name and password of a version of the secret that
 * works, even during a rotation. Once a new version is current, each connection logs in again before it is next used;
 * none is closed, and no command waits for the login.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createClientPool } from 'secretcache/redis';
 *
 * const pool = createClientPool(new SecretCache(), 'prod/checkout/redis', { socket: { host: 'redis.internal' } }, { maximum: 10 });
 * pool.on('error', (error) => console.warn(error.message));
 * await pool.connect();
 * await pool.get('key');
 * ```
 */
export declare function createClientPool(cache: SecretCache, secretId: string, options?: RotatingClientOptions, poolOptions?: Partial<RedisPoolOptions>): Pool;
/**
 * Makes a client of a Redis cluster, which logs in to its nodes as {@link createClient} does. The rotation must
 * change the user on all nodes: `redis` uses one login for all of them, and only one node is asked whether it works.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createCluster } from 'secretcache/redis';
 *
 * const cluster = createCluster(new SecretCache(), 'prod/checkout/redis', {
 *   rootNodes: [{ socket: { host: 'node-1.internal' } }, { socket: { host: 'node-2.internal' } }],
 * });
 * cluster.on('error', (error) => console.warn(error.message));
 * await cluster.connect();
 * ```
 */
export declare function createCluster(cache: SecretCache, secretId: string, options: RotatingClusterOptions): Cluster;
export {};
