/** Logins with IAM tokens instead of stored passwords. */

import { errorThrown } from './errors';
import { native } from './native';
import { checkOptions } from './options';

/** A user of RDS or Aurora, for PostgreSQL, MySQL or MariaDB. */
export interface RdsLogin {
  user: string;
  /** The endpoint of the instance, cluster or proxy, even if you connect by another name: RDS checks the token against it. */
  host: string;
  port: number;
  /** The Region of the database. Default: the cache's. */
  region?: string | undefined;
}

/** A user of ElastiCache for Valkey or Redis. */
export interface ElastiCacheLogin {
  user: string;
  /** The name of the replication group, or of the serverless cache. */
  cache: string;
  serverless?: boolean | undefined;
  /** The Region of the ElastiCache cache. Default: the Region of the `SecretCache`. */
  region?: string | undefined;
}

/** A user of MemoryDB. */
export interface MemoryDbLogin {
  user: string;
  /** The name of the cluster. */
  cluster: string;
  /** The Region of the cluster. Default: the cache's. */
  region?: string | undefined;
}

/**
 * Ids for users who log in with IAM tokens. Each function returns an id that you can pass to a cache, its `connect` and
 * every pool instead of a secret id. Reading it returns a JSON object with `username` and `password`. The password is a
 * token that the cache signs with its own credentials, without a call to AWS, and replaces before it expires after
 * fifteen minutes.
 *
 * ```js
 * import { iamLogin } from 'secretcache';
 *
 * iamLogin.rds({ user: 'app', host: 'shop.abc123.eu-central-1.rds.amazonaws.com', port: 5432 });
 * // 'rds-db://app@shop.abc123.eu-central-1.rds.amazonaws.com:5432'
 * ```
 */
export const iamLogin = {
  /** @throws {SecretCacheError} `INVALID_ARGUMENT`, saying what is wrong. */
  rds(login: RdsLogin): string {
    checkOptions('iamLogin.rds', login, ['user', 'host', 'port', 'region']);
    return idOf('rds-db', login.user, login.host, login.port, login.region);
  },

  /** @throws {SecretCacheError} `INVALID_ARGUMENT`, saying what is wrong. */
  elasticache(login: ElastiCacheLogin): string {
    checkOptions('iamLogin.elasticache', login, ['user', 'cache', 'serverless', 'region']);
    return idOf('elasticache', login.user, login.cache, undefined, login.region, login.serverless);
  },

  /** @throws {SecretCacheError} `INVALID_ARGUMENT`, saying what is wrong. */
  memorydb(login: MemoryDbLogin): string {
    checkOptions('iamLogin.memorydb', login, ['user', 'cluster', 'region']);
    return idOf('memorydb', login.user, login.cluster, undefined, login.region);
  },
} as const;

function idOf(...login: Parameters<typeof native.iamLogin>): string {
  try {
    return native.iamLogin(...login);
  } catch (error) {
    throw errorThrown(error);
  }
}
