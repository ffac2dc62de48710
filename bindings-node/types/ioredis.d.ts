/** Redis clients that stay connected while their password rotates, for the package `ioredis` and so for BullMQ. */
import * as driver from 'ioredis';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** The settings of an `ioredis` client, without user name and password, which come from the secret. */
export type RotatingRedisOptions = Omit<driver.RedisOptions, 'username' | 'password'> & PoolingOptions & {
    /** The URL of the server, instead of host, port and database. */
    url?: string | undefined;
};
/** The class `Redis` of `ioredis`, 5 or 6. */
export type RedisClass = typeof driver.Redis;
/**
 * Makes an `ioredis` client. Whenever it connects, it logs in with the user name and password of a version of the secret
 * that works, even during a rotation. Once a new version is current, it logs in again on its open connection. Its
 * duplicates (`duplicate()`, which BullMQ calls for its blocking connections) do the same.
 *
 * Each login is first tried on a separate connection, so that queued commands do not fail if it is refused.
 *
 * ```js
 * import { Queue, Worker } from 'bullmq';
 * import { SecretCache } from 'secretcache';
 * import { createRedis } from 'secretcache/ioredis';
 *
 * const connection = createRedis(new SecretCache(), 'prod/jobs/redis', { host: 'redis.internal', maxRetriesPerRequest: null });
 * const queue = new Queue('mail', { connection });
 * const worker = new Worker('mail', async (job) => send(job.data), { connection });
 * ```
 *
 * @param Redis - The class to use; by default the one of the installed `ioredis`.
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export declare function createRedis(cache: SecretCache, secretId: string, options?: RotatingRedisOptions, Redis?: RedisClass): driver.Redis;
/** The settings of an `ioredis` cluster, without user name and password, which come from the secret. */
export type RotatingClusterOptions = Omit<driver.ClusterOptions, 'redisOptions'> & PoolingOptions & {
    redisOptions?: Omit<NonNullable<driver.ClusterOptions['redisOptions']>, 'username' | 'password'> | undefined;
};
/**
 * Makes an `ioredis` cluster. Each of its connections, and those of its duplicates (`duplicate()`), logs in like a client
 * from {@link createRedis}. For Sentinel, pass `sentinels` and `name` to {@link createRedis}.
 *
 * ```js
 * const cluster = createCluster(new SecretCache(), 'prod/cache/redis', [{ host: 'redis.internal', port: 6379 }]);
 * ```
 *
 * @param nodes - Where to find the cluster, without user name and password.
 * @param Redis - The class to use; by default the one of the installed `ioredis`.
 * @throws {TypeError} If the settings or a node's URL contain a password.
 */
export declare function createCluster(cache: SecretCache, secretId: string, nodes: readonly driver.ClusterNode[], options?: RotatingClusterOptions, Redis?: RedisClass): driver.Cluster;
