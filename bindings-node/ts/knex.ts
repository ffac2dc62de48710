/** knex configurations that stay connected while their password rotates. */

import { type Knex, knex as makeKnex } from 'knex';

import type { SecretCache } from './index';
import { type Login, type PoolingOptions, PoolSecret } from './pooling';

/** A configuration of knex whose `connection` is an object, without user name and password: they come from the secret. */
export interface RotatingKnexConfig extends Omit<Knex.Config, 'connection'>, PoolingOptions {
  connection?: Readonly<Record<string, unknown>>;
}

/**
 * Makes a knex instance whose every new connection takes user name and password from one version of a secret: the one that
 * works, also while it rotates. When a new version is current, connections of older ones are not used again. Host, port and
 * database are the program's own.
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
 */
export function createKnex(cache: SecretCache, secretId: string, config: RotatingKnexConfig): Knex {
  const { connectTimeoutMs, ...rest } = config;
  const pooling = connectTimeoutMs === undefined ? {} : { connectTimeoutMs };
  const Client = rotating(dialect(config.client), cache, secretId, pooling);
  return makeKnex({ ...rest, client: Client as unknown as typeof Knex.Client });
}

interface Dialect {
  connectionSettings: Record<string, unknown>;
  acquireRawConnection(): Promise<object>;
  destroyRawConnection(connection: object): Promise<unknown>;
  validateConnection(connection: object): boolean | Promise<boolean>;
  destroy(callback?: (error?: unknown) => void): Promise<void>;
}

type DialectClass = new (config: Knex.Config) => Dialect;

/** knex's own class for a name such as `pg`: that of an instance that connects to nothing. */
function dialect(client: RotatingKnexConfig['client']): DialectClass {
  if (typeof client === 'function') return client as unknown as DialectClass;
  return (makeKnex({ client: client as string }).client as object).constructor as DialectClass;
}

function rotating(Base: DialectClass, cache: SecretCache, secretId: string, pooling: PoolingOptions): DialectClass {
  return class extends Base {
    readonly #versions = new WeakMap<object, string | undefined>();
    // A free connection that is old is found when it is next wanted.
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
      const { username: user, password, versionId } = login;
      // Read before the call returns; a copy, for connections being made may still read theirs.
      this.connectionSettings = { ...this.connectionSettings, user, password };
      const connection = await super.acquireRawConnection();
      this.#versions.set(connection, versionId);
      if (signal.aborted) await this.destroyRawConnection(connection);
      return connection;
    }
  };
}
