/** Redis clients that stay connected while their password rotates, for the package `redis`. */

import { createClient as makeClient, type RedisClientOptions } from 'redis';

import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret } from './pooling';

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
export function createClient(cache: SecretCache, secretId: string, options: RotatingClientOptions = {}): Client {
  const { connectTimeoutMs, socket, ...rest } = options;
  const logins = new Logins();
  const pooling = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
  const secret = new PoolSecret(cache, secretId, pooling, () => {
    if (client.isReady) void logInAnew(client, secret);
  });
  const client = makeClient({
    ...rest,
    socket: { ...socket, reconnectStrategy: (retries: number, cause: Error) => logins.reconnect(retries, cause, socket) },
    credentialsProvider: {
      type: 'async-credentials-provider',
      credentials: () => secret.connect((login) => logins.offer(login)),
    },
  } as RedisClientOptions) as Client;
  client.on('end', () => secret.close());
  return client;
}

/** On a live connection a refused login changes nothing: what it was logged in as, it stays. */
async function logInAnew(client: Client, secret: PoolSecret): Promise<void> {
  try {
    await secret.connect(({ username, password }) => client.sendCommand(['AUTH', username, password]));
  } catch (error) {
    client.emit('error', error);
  }
}

/** `redis` asks for a login and later reports how it went. This tells the plan, which then offers another one. */
class Logins {
  #last: string | undefined;
  readonly #refused = new Map<string | undefined, Error>();

  async offer(login: Login): Promise<Login> {
    const refusal = this.#refused.get(login.versionId);
    if (refusal !== undefined) {
      // The plan hears of it once. When it comes back to this version, the server is asked again.
      this.#refused.delete(login.versionId);
      throw refusal;
    }
    this.#last = login.versionId;
    return login;
  }

  reconnect(retries: number, cause: Error, socket: RotatingClientOptions['socket']): number | false | Error {
    if (isRejectedLogin(cause)) {
      this.#refused.set(this.#last, cause);
      return 0; // the plan waits, where that is needed
    }
    const strategy = socket?.reconnectStrategy;
    if (typeof strategy === 'function') return strategy(retries, cause);
    return strategy ?? Math.min(2 ** retries * 50, 2000) + Math.floor(Math.random() * 200);
  }
}
