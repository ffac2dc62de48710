/** Sequelize 6 instances that stay connected while their password rotates. */

import { EventEmitter } from 'node:events';

import type { SecretCache } from './index';
import { concealPassword, type Login, type PoolingOptions, PoolSecret, withLogin, withoutLogin } from './pooling';

/**
 * Returns the `dialectModule` option for Sequelize, for the dialects `postgres` (with `pg`) and `mysql` (with `mysql2`,
 * also for MariaDB). Every new connection logs in with the user name and password of a version of the secret that works,
 * even during a rotation. Once a new version is current, connections of older versions are not used again. Leave out
 * user name and password.
 *
 * ```js
 * import { Sequelize } from 'sequelize';
 * import { SecretCache } from 'secretcache';
 * import { dialectModule } from 'secretcache/sequelize';
 *
 * const sequelize = new Sequelize({
 *   dialect: 'postgres',
 *   host: 'db.internal',
 *   database: 'checkout',
 *   dialectModule: dialectModule(new SecretCache(), 'prod/checkout/db'),
 * });
 * ```
 */
export function dialectModule(cache: SecretCache, secretId: string, options: PoolingOptions = {}): object {
  let opened: PoolSecret | undefined;
  // Watched from the first connection for the lifetime of the cache, because Sequelize does not report when it closes.
  const secret = (): PoolSecret => {
    opened ??= new PoolSecret(cache, secretId, options, () => {});
    return opened;
  };
  return {
    get types(): unknown {
      return (require('pg') as typeof import('pg')).types;
    },
    get Client(): unknown {
      const driver = require('pg') as typeof import('pg');
      return class {
        constructor(config: object) {
          // biome-ignore lint/correctness/noConstructorReturn: Sequelize makes clients with `new`.
          return pgClient(driver.Client, secret(), withoutLogin(config, secretId, ['connectionString']));
        }
      };
    },
    createConnection(config: object): unknown {
      return mysqlConnection(secret(), withoutLogin(config, secretId));
    },
  };
}

type Client = EventEmitter & { connection?: EventEmitter; connect(callback: (error?: Error) => void): void; end(): void };

/** Returns a client that, once connected, forwards to the client whose login was accepted. */
function pgClient(PgClient: new (config: any) => any, secret: PoolSecret, config: object): Client {
  const first = new PgClient(config) as Client;
  const open = (login: Login, signal: AbortSignal): Promise<[Client, Login]> =>
    new Promise((resolve, reject) => {
      const client = new PgClient(withLogin(config, login)) as Client;
      concealPassword(client, login.password);
      if (first.connection && client.connection) copyListeners(first.connection, client.connection);
      signal.addEventListener('abort', () => client.end());
      // Errors before a listener is attached reach the callback.
      const ignore = (): void => {};
      client.on('error', ignore);
      client.connect((error) => {
        if (error) return reject(error);
        client.off('error', ignore);
        resolve([client, login]);
      });
    });
  const { proxy, become } = switching(first, secret, '_invalid', {
    connect(callback: (error?: Error) => void): void {
      secret.connect(open).then(
        ([client, login]) => {
          copyListeners(first, client);
          become(client, login);
          callback();
        },
        (error: Error) => callback(error),
      );
    },
  });
  return proxy;
}

/** Returns a connection that reports by its events whether its login was accepted. */
function mysqlConnection(secret: PoolSecret, config: object): EventEmitter {
  const { createConnection } = require('mysql2') as typeof import('mysql2');
  const first = new EventEmitter();
  const open = (login: Login, signal: AbortSignal): Promise<[EventEmitter, Login]> =>
    new Promise((resolve, reject) => {
      const connection = createConnection({ ...config, user: login.username, password: login.password });
      concealPassword(connection, login.password);
      signal.addEventListener('abort', () => connection.destroy());
      connection.once('error', reject);
      connection.once('connect', () => {
        connection.off('error', reject);
        resolve([connection as unknown as EventEmitter, login]);
      });
    });
  const { proxy, become } = switching(first, secret, '_fatalError', {});
  secret.connect(open).then(
    ([connection, login]) => {
      const connected = first.listeners('connect');
      first.removeAllListeners('connect');
      copyListeners(first, connection);
      become(connection, login);
      for (const listener of connected) listener();
    },
    (error: Error) => first.emit('error', error),
  );
  return proxy;
}

/**
 * Returns a proxy for a connection that can be replaced. `flaw` is the property by which Sequelize recognizes a broken
 * connection: it is true once the connection's version is outdated.
 */
function switching<T extends object>(first: T, secret: PoolSecret, flaw: string, own: Readonly<Record<string, unknown>>) {
  let current = first;
  let versionId: string | undefined;
  const proxy = new Proxy(first, {
    get(_, name) {
      if (typeof name === 'string' && Object.hasOwn(own, name)) return own[name];
      if (name === flaw && secret.isOld(versionId)) return true;
      const value: unknown = Reflect.get(current, name, current);
      return typeof value === 'function' ? value.bind(current) : value;
    },
    set: (_, name, value) => Reflect.set(current, name, value, current),
    has: (_, name) => Reflect.has(current, name),
    getPrototypeOf: () => Reflect.getPrototypeOf(current),
  });
  const become = (next: T, login: Login): void => {
    current = next;
    ({ versionId } = login);
  };
  return { proxy, become };
}

function copyListeners(from: EventEmitter, to: EventEmitter): void {
  for (const name of from.eventNames()) {
    for (const listener of from.listeners(name)) to.on(name, listener as () => void);
  }
}
