/** PostgreSQL pools that stay connected while their password rotates, for the package `pg`. */

import * as driver from 'pg';

import type { SecretCache } from './index';
import { isRejectedLogin, type Login, type PoolingOptions, PoolSecret } from './pooling';

/** Settings of a pool: those of `pg`, without user name and password, which come from the secret. */
export type RotatingPoolConfig = Omit<driver.PoolConfig, 'user' | 'password'> & PoolingOptions;

/**
 * Makes a `pg.Pool` whose every new connection takes user name and password from one version of a secret: the one that
 * works, also while it rotates. When a new version is current, connections of older ones are closed as soon as they are
 * free. Everything else (host, port, database, TLS) is the program's own.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/pg';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout', max: 20 });
 * const { rows } = await pool.query('select now()');
 * ```
 */
export function createPool(cache: SecretCache, secretId: string, config: RotatingPoolConfig = {}): driver.Pool {
  return new RotatingPool(cache, secretId, config);
}

/** Where the login of a client is noted, for the pool that made it. */
const LOGIN = Symbol('login');

interface WithLogin {
  [LOGIN]?: Login;
}

type Callback = (error: Error | undefined, client?: driver.PoolClient, done?: (release?: Error | boolean) => void) => void;

class RotatingPool extends driver.Pool {
  readonly #secret: PoolSecret;
  #sweeping = false;

  constructor(cache: SecretCache, secretId: string, { connectTimeoutMs, ...config }: RotatingPoolConfig) {
    super({ ...config, Client: clientNotingLogin(config.Client) } as driver.PoolConfig);
    const options = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
    this.#secret = new PoolSecret(cache, secretId, options, () => this.#retireIdle());
  }

  override connect(): Promise<driver.PoolClient>;
  override connect(callback: Callback): void;
  override connect(callback?: Callback): Promise<driver.PoolClient> | undefined {
    // An idle connection is logged in already.
    const isAtHand = this.idleCount > this.waitingCount || this.ending;
    const connecting = (
      isAtHand ? super.connect() : this.#secret.connect((login, signal) => this.#connectWith(login, signal))
    ).then((client) => this.#checkedOut(client));
    if (callback === undefined) return connecting;
    connecting.then(
      (client) => callback(undefined, client, client.release.bind(client)),
      (error: Error) => callback(error),
    );
    return undefined;
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    this.#secret.close();
    return callback === undefined ? super.end() : void super.end(callback);
  }

  async #connectWith(login: Login, signal: AbortSignal): Promise<driver.PoolClient> {
    for (;;) {
      // Read by the client in its constructor, which the pool calls before this call returns, or when there is room.
      Object.assign(this.options, { user: login.username, password: login.password, [LOGIN]: login });
      try {
        const client = await super.connect();
        if (signal.aborted) client.release();
        return client;
      } catch (error) {
        // Made later, with the login of another attempt: it says nothing about this one.
        const used = (error as WithLogin)[LOGIN];
        if (!isRejectedLogin(error) || used === undefined || used.versionId === login.versionId) throw error;
      }
    }
  }

  /** When it is given back, it is ended if it is old by then: a busy pool has it never idle. */
  #checkedOut(client: driver.PoolClient): driver.PoolClient {
    const release = client.release.bind(client);
    client.release = (destroy) => release(destroy || this.#isOld(client));
    return client;
  }

  #isOld(client: unknown): boolean {
    return this.#secret.isOld((client as WithLogin)[LOGIN]?.versionId);
  }

  /** Takes out each idle connection and puts it back, or ends it if it is old. */
  #retireIdle(): void {
    if (this.#sweeping || this.ending) return;
    this.#sweeping = true;
    const all = Array.from({ length: this.idleCount }, () => super.connect());
    void Promise.allSettled(all).then((taken) => {
      this.#sweeping = false;
      for (const each of taken) {
        if (each.status === 'fulfilled') each.value.release(this.#isOld(each.value));
      }
    });
  }
}

type ClientClass = new (config?: string | driver.ClientConfig) => driver.ClientBase;

function clientNotingLogin(Client: ClientClass = driver.Client): ClientClass {
  return class extends (Client as new (config: any) => any) {
    [LOGIN]: Login | undefined;

    constructor(config: WithLogin) {
      super(config);
      this[LOGIN] = config[LOGIN];
    }

    connect(callback?: (error?: Error) => void): Promise<void> | undefined {
      if (callback === undefined) return super.connect();
      return super.connect((error?: Error, ...more: unknown[]) => {
        if (error) Object.defineProperty(error, LOGIN, { value: this[LOGIN], enumerable: false });
        (callback as (...all: unknown[]) => void)(error, ...more);
      });
    }
  } as unknown as ClientClass;
}
