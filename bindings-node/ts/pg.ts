/** PostgreSQL pools that stay connected while their password rotates, for the package `pg`. */

import * as driver from 'pg';

import type { SecretCache } from './index';
import { concealPassword, type Login, type PoolingOptions, PoolSecret, withLogin, withoutLogin } from './pooling';

/** The settings of a `pg` pool, without user name and password, which come from the secret. */
export type RotatingPoolConfig = Omit<driver.PoolConfig, 'user' | 'password'> & PoolingOptions;

/**
 * Makes a `pg.Pool`. Every new connection logs in with the user name and password of a version of the secret that works,
 * even during a rotation. Once a new version is current, connections of older versions close as soon as they are free.
 * You set everything else (host, port, database, TLS, `connectionString`).
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/pg';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout', max: 20 });
 * const { rows } = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export function createPool(cache: SecretCache, secretId: string, config: RotatingPoolConfig = {}): driver.Pool {
  return new RotatingPool(cache, secretId, config);
}

type ConnectCallback = (error: Error | undefined, client?: driver.PoolClient, done?: (release?: any) => void) => void;

/** A caller that waits for a connection. */
interface Waiting {
  callback: ConnectCallback;
  timedOut: boolean;
}

/** The internals of `pg.Pool`, in every version since 8.11. */
interface Internals {
  _clients: unknown[];
  _idle: { client: driver.PoolClient }[];
  newClient(waiting: Waiting): void;
  _pulseQueue(): void;
  _release(client: driver.PoolClient, idleListener: unknown, error?: unknown): void;
  _remove(client: driver.PoolClient, callback?: () => void): void;
}

const Pool = driver.Pool as unknown as new (config: driver.PoolConfig) => driver.Pool & Internals;

/** @internal */
export class RotatingPool extends Pool {
  readonly #secret: PoolSecret;
  readonly #versions: WeakMap<object, string | undefined>;
  readonly #useNext: (login: Login) => void;

  constructor(cache: SecretCache, secretId: string, config: RotatingPoolConfig) {
    const { connectTimeoutMs, ...settings } = withoutLogin(config, secretId, ['connectionString']);
    let next: Login | undefined;
    const versions = new WeakMap<object, string | undefined>();
    const Client = rotating(
      settings.Client,
      (client, login) => versions.set(client, login.versionId),
      () => next,
    );
    super({ ...settings, Client } as driver.PoolConfig);
    this.#versions = versions;
    this.#useNext = (login) => {
      next = login;
    };
    this.#secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => this.#retireIdle());
  }

  /** Opens a connection for a waiting caller. The pool calls it when it has room for one. */
  override newClient(waiting: Waiting): void {
    // Reserves the place in the pool between two logins.
    const place = {};
    const occupy = (): void => {
      if (!this._clients.includes(place)) this._clients.push(place);
    };
    const vacate = (): void => {
      this._clients = this._clients.filter((each) => each !== place);
    };
    const logIn = (login: Login, signal: AbortSignal): Promise<[driver.PoolClient, (release?: any) => void]> =>
      new Promise((resolve, reject) => {
        vacate();
        this.#useNext(login);
        const callback: ConnectCallback = (error, client, done) => {
          if (client !== undefined && done !== undefined) resolve([client, done]);
          else reject(error);
        };
        super.newClient({ callback, timedOut: false });
        const client = this._clients.at(-1) as Opening;
        client[FAILED] = () => signal.aborted || occupy();
        signal.addEventListener('abort', () => client.connection?.stream.destroy());
      });
    occupy();
    this.#secret.connect(logIn).then(
      ([client, done]) => (waiting.timedOut ? done() : waiting.callback(undefined, client, done)),
      (error: Error) => {
        vacate();
        this._pulseQueue();
        if (!waiting.timedOut) waiting.callback(error, undefined, () => {});
      },
    );
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    this.#secret.close();
    return callback === undefined ? super.end() : void super.end(callback);
  }

  /** Closes an outdated connection when it is returned, because in a busy pool it is never idle. */
  override _release(client: driver.PoolClient, idleListener: unknown, error?: unknown): void {
    super._release(client, idleListener, error || this.#isOld(client));
  }

  #isOld(client: driver.PoolClient): boolean {
    return this.#secret.isOld(this.#versions.get(client));
  }

  #retireIdle(): void {
    const old = this._idle.map((idle) => idle.client).filter((client) => this.#isOld(client));
    for (const client of old) this._remove(client, () => this._pulseQueue());
  }
}

/** The property with the function to call when a client could not connect, before the pool is notified. */
const FAILED = Symbol('failed');

interface Opening {
  [FAILED]?: () => unknown;
  connection?: { stream: { destroy(): void } };
}

type ClientClass = new (config?: string | driver.ClientConfig) => driver.ClientBase;

/** Returns a client class that logs in with what `next` returns when the client is made. */
function rotating(
  Client: ClientClass = driver.Client,
  made: (client: object, login: Login) => void,
  next: () => Login | undefined,
): ClientClass {
  return class extends (Client as new (config: any) => any) {
    constructor(config: object) {
      const login = next() as Login;
      super(withLogin(config as { connectionString?: string }, login));
      Object.defineProperty(this, FAILED, { writable: true, enumerable: false, value: undefined });
      concealPassword(this, login.password);
      made(this, login);
    }

    connect(callback?: (error?: Error) => void): Promise<void> | undefined {
      if (callback === undefined) return super.connect();
      return super.connect((error?: Error, ...more: unknown[]) => {
        if (error) (this as Opening)[FAILED]?.();
        (callback as (...all: unknown[]) => void)(error, ...more);
      });
    }
  } as unknown as ClientClass;
}
