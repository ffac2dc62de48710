/** Redis clients that stay connected while their password rotates, for the package `redis`. */
import { createClient as makeClient, createCluster as makeCluster, createClientPool as makePool, type RedisClientOptions, type RedisClusterOptions, type RedisPoolOptions } from 'redis';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** Settings of a client: those of `redis`, without user name and password, which come from the secret. */
export type RotatingClientOptions = Omit<RedisClientOptions, 'username' | 'password' | 'credentialsProvider'> & PoolingOptions;
/** Settings of a cluster: those of `redis`; its `defaults` are without user name and password, which come from the secret. */
export interface RotatingClusterOptions extends Omit<RedisClusterOptions, 'defaults'>, PoolingOptions {
    defaults?: Omit<RedisClientOptions, 'username' | 'password' | 'credentialsProvider' | 'url'>;
}
type Client = ReturnType<typeof makeClient>;
type Pool = ReturnType<typeof makePool>;
type Cluster = ReturnType<typeof makeCluster>;
/**
 * Makes a client of `redis` that logs in with user name and password of one version of a secret: one that works,
 * even during a rotation, at its first connection and whenever it reconnects. When a new version is current, it logs in
 * again on the connection it has.
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
 * Makes a pool of `redis` whose every new connection logs in with user name and password of one version of a secret:
 * one that works, even during a rotation. When a new version is current, each connection logs in again before it is
 * next used; none is closed, and no command waits for it.
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
 * Makes a client of a Redis cluster, to whose nodes it logs in as {@link createClientPool} does. The rotation must
 * change the user on all nodes: `redis` asks for one login for all of them, and one node says whether it works.
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
