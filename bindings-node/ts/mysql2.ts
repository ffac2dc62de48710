/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mysql2`. */

import * as driver from 'mysql2';
import type * as promises from 'mysql2/promise';

import type { SecretCache } from './index';
import { type Login, type PoolingOptions, PoolSecret } from './pooling';

/** Settings of a pool: those of `mysql2`, without user name and password, which come from the secret. */
export type RotatingPoolOptions = Omit<driver.PoolOptions, 'user' | 'password' | 'uri'> & PoolingOptions;

/**
 * Makes a pool of `mysql2/promise` whose every new connection takes user name and password from one version of a secret:
 * the one that works, also while it rotates. When a new version is current, connections of older ones are closed as soon
 * as they are free. Everything else is the program's own. The pool for callbacks is its property `pool`.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mysql2';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const [rows] = await pool.query('select now()');
 * ```
 */
export function createPool(cache: SecretCache, secretId: string, options: RotatingPoolOptions = {}): promises.Pool {
  const { connectTimeoutMs, ...config } = options;
  const pool = driver.createPool(config) as RotatingPool;
  const free = new Set<PooledConnection>();
  const pooling = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
  const secret = new PoolSecret(cache, secretId, pooling, () => free.forEach(retire));

  function retire(connection: PooledConnection): void {
    if (!secret.isOld(connection.config[VERSION])) return;
    free.delete(connection);
    connection.destroy();
  }

  pool.on('acquire', (connection) => free.delete(connection as unknown as PooledConnection));
  pool.on('release', (connection) => {
    free.add(connection as unknown as PooledConnection);
    retire(connection as unknown as PooledConnection);
  });

  const plain = pool.getConnection.bind(pool);
  pool.getConnection = (callback: Callback): void => {
    // A free connection is logged in already.
    if (free.size > 0 || pool._closed) return plain(callback);
    const open = (login: Login, signal: AbortSignal): Promise<driver.PoolConnection> =>
      new Promise((resolve, reject) => {
        use(pool, login);
        plain((error, connection) => {
          if (error) return reject(error);
          if (signal.aborted) connection.release();
          resolve(connection);
        });
      });
    secret.connect(open).then(
      (connection) => callback(null, connection),
      (error) => callback(error as NodeJS.ErrnoException, undefined as unknown as driver.PoolConnection),
    );
  };

  const end = pool.end.bind(pool);
  pool.end = (callback?: (error: NodeJS.ErrnoException | null) => void): void => {
    secret.close();
    end(callback);
  };
  return pool.promise();
}

type Callback = Parameters<driver.Pool['getConnection']>[0];

/** Where the version of a connection's login is noted. */
const VERSION = Symbol('version');

interface ConnectionConfig {
  user: string;
  password: string;
  [VERSION]?: string | undefined;
}

interface PooledConnection extends driver.PoolConnection {
  config: ConnectionConfig & driver.PoolConnection['config'];
}

interface RotatingPool extends driver.Pool {
  config: driver.Pool['config'] & { connectionConfig: ConnectionConfig };
  _closed: boolean;
}

/** Has the next connection log in so. The settings are copied, for those being made may still read theirs. */
function use(pool: RotatingPool, login: Login): void {
  const settings = pool.config.connectionConfig;
  const copy = Object.create(Object.getPrototypeOf(settings), Object.getOwnPropertyDescriptors(settings)) as ConnectionConfig;
  copy.user = login.username;
  copy.password = login.password;
  copy[VERSION] = login.versionId;
  pool.config.connectionConfig = copy;
}
