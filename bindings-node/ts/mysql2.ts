/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mysql2`. */

import * as driver from 'mysql2';
import type * as promises from 'mysql2/promise';

import type { SecretCache } from './index';
import { conceal, type Login, type PoolingOptions, PoolSecret, withoutLogin } from './pooling';

/** The settings of a `mysql2` pool, without user name and password, which come from the secret. */
export type RotatingPoolOptions = Omit<driver.PoolOptions, 'user' | 'password'> & PoolingOptions;

/**
 * Makes a `mysql2/promise` pool. Every new connection logs in with the user name and password of a version of the secret
 * that works, even during a rotation. Once a new version is current, connections of older versions close as soon as they
 * are free. You set everything else (host, port, database, TLS, `uri`). Its property `pool` is the callback-style pool.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mysql2';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const [rows] = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export function createPool(cache: SecretCache, secretId: string, options: RotatingPoolOptions = {}): promises.Pool {
  return createCallbackPool(cache, secretId, options).promise();
}

/** Makes the same pool in callback style, as `createPool` of `mysql2` does. */
export function createCallbackPool(cache: SecretCache, secretId: string, options: RotatingPoolOptions = {}): driver.Pool {
  const { connectTimeoutMs, ...config } = withoutLogin(options, secretId, ['uri']);
  const pool = driver.createPool(config) as RotatingPool;
  const free = new Set<PooledConnection>();
  const retired = new WeakSet<object>();
  const secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => free.forEach(retire));

  /** Closes a free connection if it is outdated. Returns whether it was. */
  function retire(connection: PooledConnection): boolean {
    if (retired.has(connection) || !secret.isOld(connection.config[VERSION])) return false;
    retired.add(connection);
    free.delete(connection);
    connection.destroy();
    return true;
  }

  pool.on('acquire', (connection) => free.delete(connection as unknown as PooledConnection));
  pool.on('release', (connection) => free.add(connection as unknown as PooledConnection));

  const release = pool.releaseConnection.bind(pool);
  // In a busy pool an outdated connection is never free, so it is closed when it is returned.
  pool.releaseConnection = (connection) => {
    if (!retire(connection as PooledConnection)) release(connection);
  };

  const hasRoom = (): boolean => {
    const { connectionLimit } = pool.config;
    return connectionLimit === 0 || pool._allConnections.length < connectionLimit;
  };
  const plain = pool.getConnection.bind(pool);
  pool.getConnection = (callback: Callback): void => {
    // A free connection is already logged in. A full pool queues the caller itself.
    if (free.size > 0 || pool._closed || !hasRoom()) {
      plain(callback);
      return;
    }
    const open = (login: Login, signal: AbortSignal): Promise<driver.PoolConnection> =>
      new Promise((resolve, reject) => {
        if (!hasRoom()) return reject(NO_ROOM);
        use(pool, login);
        plain((error, connection) => (error ? reject(error) : resolve(connection)));
        const opening = pool._allConnections.get(pool._allConnections.length - 1);
        signal.addEventListener('abort', () => opening?.destroy());
      });
    secret.connect(open).then(
      (connection) => callback(null, connection),
      (error) => {
        if (error === NO_ROOM) plain(callback);
        else callback(error as NodeJS.ErrnoException, undefined as unknown as driver.PoolConnection);
      },
    );
  };

  const end = pool.end.bind(pool);
  pool.end = (callback?: (error: NodeJS.ErrnoException | null) => void): void => {
    secret.close();
    end(callback);
  };
  return pool;
}

type Callback = Parameters<driver.Pool['getConnection']>[0];

/** Thrown if another connection takes the pool's last place between two logins. */
const NO_ROOM = Symbol('no room');

/** The property that holds the version a connection logged in with. */
const VERSION = Symbol('version');

interface ConnectionConfig {
  user: string;
  [VERSION]?: string | undefined;
}

interface PooledConnection extends driver.PoolConnection {
  config: ConnectionConfig & driver.PoolConnection['config'];
}

interface RotatingPool extends driver.Pool {
  config: driver.Pool['config'] & { connectionConfig: ConnectionConfig; connectionLimit: number };
  _allConnections: { length: number; get(index: number): PooledConnection | undefined };
  _closed: boolean;
}

/** Makes the next connection use this login. Copies the settings, because connections being opened still read theirs. */
function use(pool: RotatingPool, login: Login): void {
  const settings = pool.config.connectionConfig;
  const copy = Object.create(Object.getPrototypeOf(settings), Object.getOwnPropertyDescriptors(settings)) as ConnectionConfig;
  copy.user = login.username;
  conceal(copy, 'password', login.password);
  conceal(copy, VERSION, login.versionId);
  pool.config.connectionConfig = copy;
}
