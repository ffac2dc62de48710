/** MySQL and MariaDB pools that stay connected while their password rotates, for the package `mariadb`. */

import { connect as connectTo, type Socket } from 'node:net';

import type * as driver from 'mariadb';

import { Handover } from './handover';
import type { SecretCache } from './index';
import { conceal, isRejectedLogin, type PoolingOptions, PoolSecret, withoutLogin } from './pooling';

/** The settings of a `mariadb` pool, without user name and password, which come from the secret. */
export type RotatingPoolConfig = Omit<driver.PoolConfig, 'user' | 'password'> & PoolingOptions;

/**
 * Makes a `mariadb` pool. Every new connection logs in with the user name and password of a version of the secret that
 * works, even during a rotation. Once a new version is current, connections of older versions close as soon as they are
 * free. You set everything else (host, port, database, TLS). You can pass the pool to Prisma's `PrismaMariaDb`.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createPool } from 'secretcache/mariadb';
 *
 * const pool = createPool(new SecretCache(), 'prod/checkout/db', { host: 'db.internal', database: 'checkout' });
 * const rows = await pool.query('select now()');
 * ```
 *
 * @throws {TypeError} If the settings contain a password.
 */
export function createPool(cache: SecretCache, secretId: string, config: RotatingPoolConfig = {}): driver.Pool {
  const mariadb = require('mariadb') as typeof driver;
  const { connectTimeoutMs, ...settings } = withoutLogin(config, secretId);
  const { stream: ownStream, socketPath, ...rest } = settings;
  const free = new Set<Connection>();
  const versions = new WeakMap<object, string | undefined>();
  const isOld = (connection: Connection): boolean => secret.isOld(versions.get(connection.opts));
  const secret = new PoolSecret(cache, secretId, { connectTimeoutMs }, () => {
    for (const connection of free) if (isOld(connection)) retire(connection);
  });

  function retire(connection: Connection): void {
    free.delete(connection);
    connection.forceEnd(null, nothing, nothing);
  }

  // The pool opens one connection at a time.
  let handover: Handover | undefined;
  /** When the pool started to open it. */
  let begun: number | undefined;
  const { acquireTimeout = 10_000, initializationTimeout = Math.max(100, acquireTimeout - 100) } = rest;

  /**
   * Returns whether a connection failed because its login was refused. The pool reports the first error since it last
   * connected, which may be a different one; but it only gives up before its timeout if a login was refused.
   */
  function isRefusal(error: Error): boolean {
    return begun === undefined ? isRejectedLogin(error) : Date.now() - begun < initializationTimeout;
  }

  /** The driver calls this on the settings of each connection, before it reads user name and password from them. */
  function stream(this: ConnectionSettings, callback: (error: unknown, socket?: Socket) => void): void {
    // If the driver has already given up on this connection, its callback throws; the next one gets the same login.
    const give = (error: unknown, socket?: Socket): void => {
      try {
        callback(error, socket);
      } catch {
        socket?.destroy();
      }
    };
    begun ??= Date.now();
    handover ??= new Handover(secret);
    handover.login().then(
      (login) => {
        versions.set(this, login.versionId);
        this.user = login.username;
        conceal(this, 'password', login.password);
        if (typeof ownStream === 'function') Reflect.apply(ownStream, this, [give]);
        else give(null, (socketPath === undefined ? connectTo(this.port, this.host) : connectTo(socketPath)).setNoDelay(true));
      },
      (error) => {
        handover = undefined;
        give(error);
      },
    );
  }

  const pool = mariadb.createPool({ ...rest, stream } as unknown as driver.PoolConfig) as driver.Pool & Events;
  pool.on('connection', () => {
    handover?.accepted();
    handover = begun = undefined;
  });
  pool.on('error', (error: Error) => {
    if (isRefusal(error)) handover?.refused(error);
    begun = undefined;
  });
  pool.on('acquire', (connection: Connection) => {
    free.delete(connection);
    if (Object.hasOwn(connection, 'isValid')) return;
    const isValid = connection.isValid.bind(connection);
    // Called when a connection is returned or checked out: the pool closes a returned one that is not valid.
    connection.isValid = () => {
      if (!isOld(connection)) return isValid();
      if (free.has(connection)) retire(connection);
      return false;
    };
  });
  pool.on('release', (connection: Connection) => free.add(connection));

  const end = pool.end.bind(pool);
  pool.end = async () => {
    secret.close();
    handover?.abandoned(new Error('the pool has ended'));
    await end();
  };
  return pool;
}

function nothing(): void {}

/** The settings of one connection, which the driver copies for each. */
interface ConnectionSettings {
  user: string;
  port: number;
  host: string;
}

/** The internals of a connection in the pool. */
interface Connection {
  opts: ConnectionSettings;
  isValid(): boolean;
  forceEnd(parameters: null, resolve: () => void, reject: () => void): void;
}

interface Events {
  on(event: string, listener: (each: any) => void): unknown;
}
