/** knex instances that stay connected while their password rotates. */

import { type Knex, knex as makeKnex } from 'knex';

import type { SecretCache } from './index';
import {
  concealPassword,
  type Login,
  type PoolingOptions,
  PoolSecret,
  urlWithoutLogin,
  withLogin,
  withoutLogin,
} from './pooling';

/** A knex configuration, without user name and password in its `connection`, which come from the secret. */
export interface RotatingKnexConfig extends Omit<Knex.Config, 'connection'>, PoolingOptions {
  /** Host, port, database and the like, or a URL; without a password. */
  connection?: string | Readonly<Record<string, unknown>> | undefined;
}

/**
 * Makes a knex instance. Every new connection logs in with the user name and password of a version of the secret that
 * works, even during a rotation. Once a new version is current, connections of older versions are not used again. You
 * set host, port and database.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 * import { createKnex } from 'secretcache/knex';
 *
 * const knex = createKnex(new SecretCache(), 'prod/checkout/db', {
 *   client: 'pg',
 *   connection: { host: 'db.internal', database: 'checkout' },
 * });
 * ```
 *
 * @throws {TypeError} If the settings or the URL contain a password.
 */
export function createKnex(cache: SecretCache, secretId: string, config: RotatingKnexConfig): Knex {
  const { connectTimeoutMs, connection = {}, ...rest } = config;
  const place =
    typeof connection === 'string'
      ? urlWithoutLogin('connection', connection, secretId)
      : withoutLogin(connection, secretId, ['connectionString', 'uri']);
  const Client = rotating(dialect(config.client), cache, secretId, { connectTimeoutMs });
  return makeKnex({ ...rest, connection: place, client: Client as unknown as typeof Knex.Client });
}

interface Dialect {
  connectionSettings: Record<string, unknown>;
  acquireRawConnection(): Promise<object>;
  destroyRawConnection(connection: object): Promise<unknown>;
  validateConnection(connection: object): boolean | Promise<boolean>;
  destroy(callback?: (error?: unknown) => void): Promise<void>;
}

type DialectClass = new (config: Knex.Config) => Dialect;

/** Returns knex's dialect class for a name such as `pg`, taken from an instance that never connects. */
function dialect(client: RotatingKnexConfig['client']): DialectClass {
  if (typeof client === 'function') return client as unknown as DialectClass;
  return (makeKnex({ client: client as string }).client as object).constructor as DialectClass;
}

function rotating(Base: DialectClass, cache: SecretCache, secretId: string, pooling: PoolingOptions): DialectClass {
  return class extends Base {
    readonly #versions = new WeakMap<object, string | undefined>();
    // Nothing to do: an outdated free connection is dropped when it is next checked out.
    readonly #secret = new PoolSecret(cache, secretId, pooling, () => {});

    override acquireRawConnection(): Promise<object> {
      return this.#secret.connect((login, signal) => this.#connectWith(login, signal));
    }

    override async validateConnection(connection: object): Promise<boolean> {
      return !this.#secret.isOld(this.#versions.get(connection)) && (await super.validateConnection(connection));
    }

    override destroy(callback?: (error?: unknown) => void): Promise<void> {
      this.#secret.close();
      return super.destroy(callback);
    }

    async #connectWith(login: Login, signal: AbortSignal): Promise<object> {
      const connectionSettings = withLogin(this.connectionSettings, login);
      // Like this client, but with the settings of one connection.
      const client = new Proxy<Dialect>(this, {
        get: (target, name) => (name === 'connectionSettings' ? connectionSettings : Reflect.get(target, name, target)),
      });
      const connection = await super.acquireRawConnection.call(client);
      this.#versions.set(connection, login.versionId);
      concealPassword(connection, login.password);
      if (signal.aborted) await this.destroyRawConnection(connection);
      return connection;
    }
  };
}
