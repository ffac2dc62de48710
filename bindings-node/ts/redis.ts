/** Redis clients that stay connected while their password rotates, for the package `redis`. */

import {
  createClient as makeClient,
  createClientPool as makePool,
  createCluster as makeCluster,
  type RedisClientOptions,
  type RedisClusterOptions,
  type RedisPoolOptions,
} from 'redis';

import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret } from './pooling';

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

/**
 * Makes a pool of `redis` whose every new connection logs in with user name and password of one version of a secret: the
 * one that works, also while it rotates. When a new version is current, each connection logs in anew before it is next
 * used; none is closed, and no command waits for it.
 *
 * A version is tried on a connection of its own before the pool's take it: `redis` does not say which of them was refused.
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
export function createClientPool(
  cache: SecretCache,
  secretId: string,
  options: RotatingClientOptions = {},
  poolOptions?: Partial<RedisPoolOptions>,
): Pool {
  const { connectTimeoutMs, ...rest } = options;
  const pooling = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
  const login = new SharedLogin(cache, secretId, pooling, [rest]);
  const pool = makePool(login.options(rest) as RedisClientOptions, poolOptions);
  // What `redis` hands out inherits from the pool itself, and all its commands go through the latter's `execute`.
  const inner = Object.getPrototypeOf(pool) as Pool;
  const { execute, close, destroy } = inner;
  inner.execute = function <T>(this: Pool, work: (client: any) => T) {
    return execute.call(this, (client: any) => {
      login.renew(client);
      return work(client);
    });
  } as Pool['execute'];
  inner.close = function (this: Pool) {
    login.close();
    return close.call(this);
  };
  inner.destroy = function (this: Pool) {
    login.close();
    destroy.call(this);
  };
  return pool;
}

/**
 * Makes a client of a Redis cluster, to whose nodes it logs in as {@link createClientPool} does. The rotation must change
 * the user on all nodes: `redis` asks for one login for all of them, and one node says whether it works.
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
export function createCluster(cache: SecretCache, secretId: string, options: RotatingClusterOptions): Cluster {
  const { connectTimeoutMs, defaults = {}, ...rest } = options;
  const pooling = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
  const places = rest.rootNodes.map((node) => ({ ...defaults, ...node, socket: { ...defaults.socket, ...node.socket } }));
  const login = new SharedLogin(cache, secretId, pooling, places as RotatingClientOptions[], () => {
    for (const { client } of [...cluster.masters, ...cluster.replicas]) {
      if (client !== undefined) void Promise.resolve(client).then((client) => login.renew(client));
    }
  });
  const cluster = makeCluster({ ...rest, defaults: login.options(defaults) } as RedisClusterOptions) as Cluster;
  const [close, destroy] = [cluster.close.bind(cluster), cluster.destroy.bind(cluster)];
  cluster.close = () => {
    login.close();
    return close();
  };
  cluster.destroy = () => {
    login.close();
    return destroy();
  };
  return cluster;
}

/** The login that works, for connections of which `redis` does not say which one was refused. */
class SharedLogin {
  readonly #secret: PoolSecret;
  readonly #places: readonly RotatingClientOptions[];
  readonly #probes = new Map<string | undefined, Promise<void>>();
  /** The login given out last, since when, and whether there was another one before. */
  #last: Login | undefined;
  #since = 0;
  #hasChanged = false;
  #isTrusted = false;
  #refusal: Error | undefined;
  readonly #renewed = new WeakMap<object, string | undefined>();

  /** `places`: where a login can be tried, in this order. `changed`: another version works now. */
  constructor(
    cache: SecretCache,
    secretId: string,
    pooling: PoolingOptions,
    places: readonly RotatingClientOptions[],
    changed: () => void = () => {},
  ) {
    this.#places = places;
    this.#secret = new PoolSecret(cache, secretId, pooling, () => {
      // Where none works now, connections stay as they are, and a new one will say so.
      if (this.#last !== undefined) this.working().then(changed, () => {});
    });
  }

  /** A client's settings with this login. */
  options(options: RotatingClientOptions): RedisClientOptions {
    const { socket } = options;
    return {
      ...options,
      socket: { ...socket, reconnectStrategy: (retries: number, cause: Error) => this.#reconnect(retries, cause, socket) },
      credentialsProvider: { type: 'async-credentials-provider', credentials: () => this.working() },
    } as RedisClientOptions;
  }

  /** The login that works now. */
  working(): Promise<Login> {
    return this.#secret.connect(async (login) => {
      const isLast = login.versionId === this.#last?.versionId;
      if (isLast && this.#refusal !== undefined) {
        // The plan hears of it once. When it comes back to this version, the server is asked again.
        const refusal = this.#refusal;
        this.#refusal = undefined;
        throw refusal;
      }
      if (!isLast || !this.#isTrusted) await this.#probe(login);
      this.#use(login);
      return login;
    });
  }

  /** Has a live connection log in anew, if that was not done with this version yet. Commands follow on its heels. */
  renew(client: Pick<Client, 'isReady' | 'sendCommand'>): void {
    const login = this.#last;
    if (!this.#hasChanged || login === undefined || !client.isReady) return;
    if (this.#renewed.get(client) === login.versionId || this.#secret.isOld(login.versionId)) return;
    this.#renewed.set(client, login.versionId);
    // Where it is refused after all, the connection stays logged in as it was.
    client.sendCommand(['AUTH', login.username, login.password]).catch(() => {});
  }

  close(): void {
    this.#secret.close();
  }

  #use(login: Login): void {
    if (login.versionId !== this.#last?.versionId) {
      this.#hasChanged = this.#last !== undefined;
      this.#since = performance.now();
      this.#refusal = undefined;
    }
    this.#last = login;
    this.#isTrusted = true;
  }

  #probe(login: Login): Promise<void> {
    const { versionId } = login;
    const running = this.#probes.get(versionId);
    if (running !== undefined) return running;
    const probe = this.#tryAnywhere(login).finally(() => this.#probes.delete(versionId));
    this.#probes.set(versionId, probe);
    return probe;
  }

  async #tryAnywhere({ username, password }: Login): Promise<void> {
    let last: unknown;
    for (const place of this.#places) {
      const socket = { ...place.socket, reconnectStrategy: false };
      const client = makeClient({ ...place, username, password, socket } as RedisClientOptions);
      // What there is to say, `connect` says.
      client.on('error', () => {});
      try {
        await client.connect();
        client.destroy();
        return;
      } catch (error) {
        last = error;
        if (isRejectedLogin(error)) break;
      }
    }
    throw last;
  }

  #reconnect(retries: number, cause: Error, socket: RotatingClientOptions['socket']): number | false | Error {
    if (!isRejectedLogin(cause)) return reconnect(retries, cause, socket);
    this.#isTrusted = false;
    // Soon after a change it may be the version before that was refused: then the server is to say.
    if (performance.now() - this.#since > LONGEST_LOGIN_MS) this.#refusal ??= cause;
    return 0; // the plan waits, where that is needed
  }
}

/** A login under way for longer than this has failed for another reason. */
const LONGEST_LOGIN_MS = 5000;

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
    return reconnect(retries, cause, socket);
  }
}

/** The program's own strategy, or the one that `redis` has otherwise. */
function reconnect(retries: number, cause: Error, socket: RotatingClientOptions['socket']): number | false | Error {
  const strategy = socket?.reconnectStrategy;
  if (typeof strategy === 'function') return strategy(retries, cause);
  return strategy ?? Math.min(2 ** retries * 50, 2000) + Math.floor(Math.random() * 200);
}
