/** Redis clients that stay connected while their password rotates, for the package `redis`. */

import {
  createClient as makeClient,
  createCluster as makeCluster,
  createClientPool as makePool,
  type RedisClientOptions,
  type RedisClusterOptions,
  type RedisPoolOptions,
} from 'redis';

import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret, withoutLogin } from './pooling';

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
export function createClient(cache: SecretCache, secretId: string, options: RotatingClientOptions = {}): Client {
  const { connectTimeoutMs, ...rest } = withoutLogin(options, secretId, ['url']);
  const login = new WorkingLogin(cache, secretId, connectTimeoutMs, [rest], () => login.renew(client));
  const client = makeClient(login.options(rest));
  client.on('end', () => login.close());
  return client;
}

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
export function createClientPool(
  cache: SecretCache,
  secretId: string,
  options: RotatingClientOptions = {},
  poolOptions?: Partial<RedisPoolOptions>,
): Pool {
  const { connectTimeoutMs, ...rest } = withoutLogin(options, secretId, ['url']);
  const login = new WorkingLogin(cache, secretId, connectTimeoutMs, [rest]);
  const pool = makePool(login.options(rest), poolOptions);
  // `redis` returns an object that inherits from the actual pool; all its commands go through that pool's `execute`.
  const inner = Object.getPrototypeOf(pool) as Pool;
  const { execute, close, destroy } = inner;
  inner.execute = function <T>(this: Pool, work: (client: any) => T) {
    return execute.call(this, async (client: any) => {
      // Commands queued in a reconnecting client fail if its login is refused, so they wait here until it is ready.
      if (!client.isReady) await settled(client);
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
export function createCluster(cache: SecretCache, secretId: string, options: RotatingClusterOptions): Cluster {
  const { connectTimeoutMs, defaults: given = {}, ...others } = options;
  const defaults = withoutLogin(given, secretId);
  const rest = { ...others, rootNodes: others.rootNodes.map((node) => withoutLogin(node, secretId, ['url'])) };
  const places = rest.rootNodes.map((node) => ({ ...defaults, ...node, socket: { ...defaults.socket, ...node.socket } }));
  const login = new WorkingLogin(cache, secretId, connectTimeoutMs, places as RotatingClientOptions[], () => {
    for (const { client } of [...cluster.masters, ...cluster.replicas]) {
      if (client !== undefined) void Promise.resolve(client).then((client) => login.renew(client));
    }
  });
  const cluster = makeCluster({ ...rest, defaults: login.options(defaults) } as RedisClusterOptions) as Cluster;
  const [connect, close, destroy] = [cluster.connect, cluster.close, cluster.destroy].map((each) => each.bind(cluster)) as [
    Cluster['connect'],
    Cluster['close'],
    Cluster['destroy'],
  ];
  cluster.connect = async () => {
    for (let attempt = 1; ; attempt += 1) {
      let isRefused = false;
      const listen = (error: unknown): void => {
        isRefused ||= isRejectedLogin(error);
      };
      cluster.on('error', listen);
      try {
        return await connect();
      } catch (error) {
        // The password changed at that very moment. A cluster's `connect` does not retry on its own.
        if (!isRefused || attempt === MOST_CONNECTS) throw error;
      } finally {
        cluster.off('error', listen);
      }
    }
  };
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

function providing(
  credentials: () => Promise<Pick<Login, 'username' | 'password'>>,
): Pick<RedisClientOptions, 'credentialsProvider'> {
  return { credentialsProvider: { type: 'async-credentials-provider', credentials } };
}

/** The limit of attempts: if one node refuses a login that another accepts, more do not help. */
const MOST_CONNECTS = 3;

/** Waits until a client has connected or given up; in the latter case its next command fails. */
function settled(client: Client): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ENDS) client.off(event, done);
      resolve();
    };
    for (const event of ENDS) client.on(event, done);
    if (client.isReady || !client.isOpen) done();
  });
}

const ENDS = ['ready', 'end', 'terminated'];

/** Finds the login that works, and renews it on live connections. */
class WorkingLogin {
  readonly #secret: PoolSecret;
  readonly #places: readonly RotatingClientOptions[];
  readonly #trials = new Map<string | undefined, Promise<void>>();
  #last: Login | undefined;
  #hasChanged = false;
  readonly #renewed = new WeakMap<object, string | undefined>();

  /** `places`: where to try a login, in this order. `changed`: called when another version works. */
  constructor(
    cache: SecretCache,
    secretId: string,
    connectTimeoutMs: PoolingOptions['connectTimeoutMs'],
    places: readonly RotatingClientOptions[],
    changed: () => void = () => {},
  ) {
    this.#places = places;
    this.#secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => {
      // If no login works now, connections stay as they are, and the next new one fails.
      if (this.#last !== undefined) this.#find().then(changed, () => {});
    });
  }

  /** Returns a client's settings with a credentials provider that returns this login. */
  options(options: RotatingClientOptions): RedisClientOptions {
    return { ...options, ...providing(() => this.#find()) } as RedisClientOptions;
  }

  /** Makes a live connection log in again, once per version. Later commands are queued behind the login. */
  renew(client: Pick<Client, 'isReady' | 'sendCommand'>): void {
    const login = this.#last;
    if (!this.#hasChanged || login === undefined || !client.isReady) return;
    if (this.#renewed.get(client) === login.versionId || this.#secret.isOld(login.versionId)) return;
    this.#renewed.set(client, login.versionId);
    // If it is refused after all, the connection keeps its old login.
    client.sendCommand(['AUTH', login.username, login.password]).catch(() => {});
  }

  close(): void {
    this.#secret.close();
  }

  #find(): Promise<Login> {
    return this.#secret.connect(async (login) => {
      await this.#tryOnce(login);
      this.#hasChanged ||= this.#last !== undefined && this.#last.versionId !== login.versionId;
      this.#last = login;
      return login;
    });
  }

  /** Tries a login once for all concurrent callers. */
  #tryOnce(login: Login): Promise<void> {
    const { versionId } = login;
    const running = this.#trials.get(versionId);
    if (running !== undefined) return running;
    const trial = this.#tryAnywhere(login).finally(() => this.#trials.delete(versionId));
    this.#trials.set(versionId, trial);
    return trial;
  }

  async #tryAnywhere({ username, password }: Login): Promise<void> {
    let last: unknown;
    for (const place of this.#places) {
      // Without the functions, these are the settings of the program's client, so `redis` reuses its class for them. It
      // keeps the last class it made; making another takes some milliseconds.
      const socket = { ...place.socket, reconnectStrategy: () => false as const };
      const client = makeClient({ ...place, socket, ...providing(async () => ({ username, password })) } as RedisClientOptions);
      // `connect` throws the error too.
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
}
