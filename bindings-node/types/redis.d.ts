/** Redis clients that stay connected while their password rotates, for the package `redis`. */
import { createClient as makeClient, type RedisClientOptions } from 'redis';
import type { SecretCache } from './index';
import { type PoolingOptions } from './pooling';
/** Settings of a client: those of `redis`, without user name and password, which come from the secret. */
export type RotatingClientOptions = Omit<RedisClientOptions, 'username' | 'password' | 'credentialsProvider'> & PoolingOptions;
type Client = ReturnType<typeof makeClient>;
/**
 * Makes a client of `redis` that logs in with user name and password of one version of a secret: the one that works, also
 * while it rotates, at its first connection and whenever it reconnects. When a new version is current, it logs in anew on
 * the connection it has.
 *
 * A refused login is told to listeners of the client's `error` event, as `redis` tells every reason to connect anew.
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
export {};
