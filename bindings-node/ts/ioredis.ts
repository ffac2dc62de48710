/** Redis clients that stay connected while their password rotates, for the package `ioredis` and so for BullMQ. */

import * as driver from 'ioredis';

import type { SecretCache } from './index';
import {
  conceal,
  isRejectedLogin,
  type Login,
  type PoolingOptions,
  PoolSecret,
  urlWithoutLogin,
  withoutLogin,
} from './pooling';

/** The settings of an `ioredis` client, without user name and password, which come from the secret. */
export type RotatingRedisOptions = Omit<driver.RedisOptions, 'username' | 'password'> &
  PoolingOptions & {
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
export function createRedis(
  cache: SecretCache,
  secretId: string,
  options: RotatingRedisOptions = {},
  Redis: RedisClass = driver.Redis,
): driver.Redis {
  const { connectTimeoutMs, url, ...settings } = withoutLogin(options, secretId);
  const Rotating = rotating(Redis, new Logins(cache, secretId, { connectTimeoutMs }));
  return url === undefined ? new Rotating(settings) : new Rotating(urlWithoutLogin('url', url, secretId), settings);
}

/** The settings of an `ioredis` cluster, without user name and password, which come from the secret. */
export type RotatingClusterOptions = Omit<driver.ClusterOptions, 'redisOptions'> &
  PoolingOptions & {
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
export function createCluster(
  cache: SecretCache,
  secretId: string,
  nodes: readonly driver.ClusterNode[],
  options: RotatingClusterOptions = {},
  Redis: RedisClass = driver.Redis,
): driver.Cluster {
  const { connectTimeoutMs, redisOptions = {}, lazyConnect = false, ...settings } = options;
  const places = nodes.map((node) => {
    if (typeof node === 'string') return urlWithoutLogin('a node', node, secretId);
    return typeof node === 'object' ? withoutLogin(node, secretId) : node;
  });
  const own = { ...settings, redisOptions: withoutLogin(redisOptions, secretId), lazyConnect: true };
  const cluster = new Redis.Cluster(places, own as driver.ClusterOptions);
  const Rotating = rotating(Redis, new Logins(cache, secretId, { connectTimeoutMs }));
  const { connectionPool } = cluster as unknown as { connectionPool: NodePool };
  const create = connectionPool.createRedisFromOptions.bind(connectionPool);
  // The client the pool makes has not connected to anything: only its settings are used.
  connectionPool.createRedisFromOptions = (...all) => {
    const client = new Rotating(create(...all).options);
    connectionPool.hooks?.onCreate?.(client, ...all.slice(1));
    return client;
  };
  cluster.duplicate = (others = [], override = {}) => {
    const all = { ...options, ...override } as RotatingClusterOptions;
    return createCluster(cache, secretId, others.length > 0 ? others : nodes, all, Redis);
  };
  // A program that waits calls `connect` or a command; errors are emitted as events.
  if (!lazyConnect) cluster.connect().catch(() => {});
  return cluster;
}

/** The part of a cluster that makes its connections. */
interface NodePool {
  createRedisFromOptions(node: object, ...more: unknown[]): driver.Redis;
  hooks?: { onCreate?(client: driver.Redis, ...more: unknown[]): void };
}

/** The internals of an `ioredis` client. */
interface Client {
  status: string;
  manuallyClosing?: boolean;
  condition: { auth?: unknown; subscriber?: unknown } | null | undefined;
  options: driver.RedisOptions;
  auth(...login: string[]): Promise<unknown>;
  once(event: 'end', listener: () => void): unknown;
  disconnect(): void;
  setStatus(status: string): void;
  flushQueue(error: Error): void;
  silentEmit(event: string, error: unknown): void;
}

function rotating(Redis: RedisClass, logins: Logins): RedisClass {
  const Base = Redis as unknown as new (...all: any[]) => any;
  /** The connect in progress of each client, so that it runs once at a time. */
  const connecting = new WeakMap<object, Promise<void>>();

  class Rotating extends Base {
    connect(callback?: (error?: Error | null) => void): Promise<void> {
      // Commands sent before the first connection read it.
      this.condition ??= {
        select: this.options.db,
        subscriber: false,
        protocol: this.options.protocol,
        replyMapping: 'legacy',
        handshake: false,
      };
      const begun = connecting.get(this) ?? this.logIn().finally(() => connecting.delete(this));
      connecting.set(this, begun);
      if (callback !== undefined) begun.then(() => callback(null), callback);
      return begun;
    }

    duplicate(override?: object): unknown {
      return new Rotating({ ...this.options, ...override });
    }

    sendCommand(command: { name: string; args: unknown[]; reject(error: unknown): unknown }, ...more: unknown[]): unknown {
      if (command.name === 'auth' || command.name === 'hello') {
        const { reject } = command;
        command.reject = (error) => {
          // The driver attaches the command to its error, including its arguments.
          const { command } = (error ?? {}) as { command?: { args: unknown[] } };
          if (command !== undefined) command.args = ['(hidden)'];
          if (!isRejectedLogin(error) || this.status !== 'connect') return reject.call(this, error);
          // The password changed since the trial. Queued commands move to the next connection instead of failing.
          this.connectionEpoch += 1;
          this.disconnect(true);
        };
      }
      return super.sendCommand(command, ...more);
    }

    private async logIn(): Promise<void> {
      const client = this as unknown as Client;
      let login: Login | undefined;
      for (let attempt = 1; ; attempt += 1) {
        try {
          login = await logins.find(client.options, Base);
          break;
        } catch (error) {
          client.flushQueue(error as Error);
          client.silentEmit('error', error);
          const delay = client.options.retryStrategy?.(attempt);
          if (typeof delay !== 'number') {
            client.setStatus('end');
            throw error;
          }
          await new Promise((resolve) => setTimeout(resolve, delay));
        }
        if (client.manuallyClosing || client.status === 'end') break;
      }
      if (login === undefined || client.manuallyClosing || client.status === 'end') {
        client.setStatus('end');
        throw new Error('Connection is closed.');
      }
      await this.connectWith(login);
    }

    private connectWith(login: Login): Promise<void> {
      const client = this as unknown as Client;
      const { options } = client;
      logins.add(client, login);
      // Read before the call returns, and later by a cluster's subscriber, which copies the login of a node's client.
      concealLogin(options, login);
      try {
        return super.connect();
      } finally {
        if (client.condition) conceal(client.condition, 'auth', client.condition.auth);
      }
    }
  }

  return Rotating as unknown as RedisClass;
}

/** Finds the login that works, and renews it on the clients that use it. */
class Logins {
  readonly #cache: SecretCache;
  readonly #id: string;
  readonly #options: PoolingOptions;
  readonly #clients = new Map<Client, string | undefined>();
  readonly #trials = new Map<string | undefined, Promise<void>>();
  #open: PoolSecret | undefined;
  #where: [driver.RedisOptions, new (options: object) => any] | undefined;

  constructor(cache: SecretCache, id: string, options: PoolingOptions) {
    this.#cache = cache;
    this.#id = id;
    this.#options = options;
  }

  /** Returns a login that works, tried on a separate connection. */
  find(options: driver.RedisOptions, Redis: new (options: object) => any): Promise<Login> {
    this.#where = [options, Redis];
    return this.#secret.connect(async (login) => {
      const { versionId } = login;
      // Concurrent callers share one trial.
      const trial =
        this.#trials.get(versionId) ?? tryLogin(options, Redis, login).finally(() => this.#trials.delete(versionId));
      this.#trials.set(versionId, trial);
      await trial;
      return login;
    });
  }

  add(client: Client, login: Login): void {
    if (!this.#clients.has(client)) client.once('end', () => this.#remove(client));
    this.#clients.set(client, login.versionId);
  }

  get #secret(): PoolSecret {
    this.#open ??= new PoolSecret(this.#cache, this.#id, this.#options, () => void this.#renew());
    return this.#open;
  }

  #remove(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    this.#open?.close();
    this.#open = undefined;
  }

  /** Makes live connections log in again. If no login works now, they stay as they are, and the next connection fails. */
  async #renew(): Promise<void> {
    if (this.#where === undefined) return;
    const login = await this.find(...this.#where).catch(() => undefined);
    if (login === undefined) return;
    for (const [client, versionId] of this.#clients) {
      if (versionId === login.versionId || client.status !== 'ready' || client.condition?.subscriber) continue;
      this.#clients.set(client, login.versionId);
      concealLogin(client.options, login);
      client.auth(login.username, login.password).catch(() => {});
    }
  }
}

function concealLogin(options: driver.RedisOptions, login: Login): void {
  conceal(options, 'username', login.username);
  conceal(options, 'password', login.password);
}

async function tryLogin(options: driver.RedisOptions, Redis: new (options: object) => any, login: Login): Promise<void> {
  const { username, password } = login;
  const own = {
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
  };
  const client = new Redis({ ...options, ...own, username, password });
  let refusal: unknown;
  client.on('error', (error: unknown) => {
    refusal ??= error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    const reason = (refusal ?? error) as { command?: unknown };
    // The driver attaches the command to its error, including its arguments.
    delete reason.command;
    throw reason;
  } finally {
    client.disconnect();
  }
}
