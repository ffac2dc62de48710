/** Redis clients of the package `ioredis`, and with them BullMQ, that stay connected while their password rotates. */
import * as driver from 'ioredis';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** Settings of a client: those of `ioredis`, without user name and password, which come from the secret. */
export type RotatingRedisOptions = Omit<driver.RedisOptions, 'username' | 'password'> & PoolingOptions & {
    /** The URL of the server, in place of host, port and database. */
    url?: string | undefined;
};
/** The class `Redis` of `ioredis`, 5 or 6. */
export type RedisClass = typeof driver.Redis;
/**
 * Makes a client of `ioredis` that logs in with user name and password of one version of a secret: one that works,
 * even during a rotation, whenever it connects. Once a new version is current, it logs in again on the connection it
 * has. What it duplicates (`duplicate()`, which BullMQ calls for its blocking connections) does the same.
 *
 * Each login is tried on a connection of its own first, so that commands that wait do not fail with it.
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
 * @param Redis - The class to use; by default that of the installed `ioredis`.
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export declare function createRedis(cache: SecretCache, secretId: string, options?: RotatingRedisOptions, Redis?: RedisClass): driver.Redis;
/** Settings of a cluster: those of `ioredis`, without user name and password, which come from the secret. */
export type RotatingClusterOptions = Omit<driver.ClusterOptions, 'redisOptions'> & PoolingOptions & {
    redisOptions?: Omit<NonNullable<driver.ClusterOptions['redisOptions']>, 'username' | 'password'> | undefined;
};
/**
 * Makes a cluster of `ioredis`, each of whose connections logs in as those of {@link createRedis} do, with
 * `duplicate()`. Sentinels need no function of their own: pass `sentinels` and `name` to {@link createRedis}.
 *
 * ```js
 * const cluster = createCluster(new SecretCache(), 'prod/cache/redis', [{ host: 'redis.internal', port: 6379 }]);
 * ```
 *
 * @param nodes - Where to find the cluster, without user name and password.
 * @param Redis - The class to use; by default that of the installed `ioredis`.
 * @throws {TypeError} If the settings or a node's URL hold a password.
 */
export declare function createCluster(cache: SecretCache, secretId: string, nodes: readonly driver.ClusterNode[], options?: RotatingClusterOptions, Redis?: RedisClass): driver.Cluster;
