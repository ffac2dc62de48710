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
export function createClient(cache: SecretCache, secretId: string, options: RotatingClientOptions = {}): Client {
  const { connectTimeoutMs, ...rest } = withoutLogin(options, secretId, ['url']);
  const login = new WorkingLogin(cache, secretId, connectTimeoutMs, [rest], () => login.renew(client));
  const client = makeClient(login.options(rest));
  client.on('end', () => login.close());
  return client;
}

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
export function createClientPool(
  cache: SecretCache,
  secretId: string,
  options: RotatingClientOptions = {},
  poolOptions?: Partial<RedisPoolOptions>,
): Pool {
  const { connectTimeoutMs, ...rest } = withoutLogin(options, secretId, ['url']);
  const login = new WorkingLogin(cache, secretId, connectTimeoutMs, [rest]);
  const pool = makePool(login.options(rest), poolOptions);
  // What `redis` hands out inherits from the pool itself, and all its commands go through the latter's `execute`.
  const inner = Object.getPrototypeOf(pool) as Pool;
  const { execute, close, destroy } = inner;
  inner.execute = function <T>(this: Pool, work: (client: any) => T) {
    return execute.call(this, async (client: any) => {
      // What waits in a client while it reconnects fails with it if its login is refused. Here it waits outside.
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
        // The password changed in the very moment. Here `redis` does not try again by itself.
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

/** Where one node refuses what another one takes, no number of attempts helps. */
const MOST_CONNECTS = 3;

/** Waits until a client has connected, or has given up, which its next command says. */
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

/** The login that works, and the connections that have it. */
class WorkingLogin {
  readonly #secret: PoolSecret;
  readonly #places: readonly RotatingClientOptions[];
  readonly #trials = new Map<string | undefined, Promise<void>>();
  #last: Login | undefined;
  #hasChanged = false;
  readonly #renewed = new WeakMap<object, string | undefined>();

  /** `places`: where a login can be tried, in this order. `changed`: another version works now. */
  constructor(
    cache: SecretCache,
    secretId: string,
    connectTimeoutMs: PoolingOptions['connectTimeoutMs'],
    places: readonly RotatingClientOptions[],
    changed: () => void = () => {},
  ) {
    this.#places = places;
    this.#secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => {
      // Where none works now, connections stay as they are, and the next new one says so.
      if (this.#last !== undefined) this.#find().then(changed, () => {});
    });
  }

  /** A client's settings with this login. */
  options(options: RotatingClientOptions): RedisClientOptions {
    return { ...options, ...providing(() => this.#find()) } as RedisClientOptions;
  }

  /** Makes a live connection log in again, if that was not done with this version yet. Commands follow on its heels. */
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

  #find(): Promise<Login> {
    return this.#secret.connect(async (login) => {
      await this.#tryOnce(login);
      this.#hasChanged ||= this.#last !== undefined && this.#last.versionId !== login.versionId;
      this.#last = login;
      return login;
    });
  }

  /** Tries a login for all who want it at the moment. */
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
      // Without its functions this is what the program's client has, for which `redis` then has a class ready: it takes
      // some milliseconds to make one, and keeps the last.
      const socket = { ...place.socket, reconnectStrategy: () => false as const };
      const client = makeClient({ ...place, socket, ...providing(async () => ({ username, password })) } as RedisClientOptions);
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
}
