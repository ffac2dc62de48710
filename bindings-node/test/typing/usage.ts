/** Typical TypeScript programs: compiled, never run. */

import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { LoginRejectedError, SecretCache, SecretCacheError, type SecretCacheOptions, type SecretValue } from 'secretcache';
import { createFetch } from 'secretcache/fetch';
import { createCluster, createRedis } from 'secretcache/ioredis';
import { createKnex } from 'secretcache/knex';
import { createPool as createMariadbPool } from 'secretcache/mariadb';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool } from 'secretcache/pg';
import { createSql } from 'secretcache/postgres';
import { createClient } from 'secretcache/redis';

const options: SecretCacheOptions = { region: 'eu-central-1', refreshIntervalMs: 60_000, logger: console };
const cache = new SecretCache(options);
new SecretCache({ client: new SecretsManagerClient({}) });
// @ts-expect-error An option that does not exist.
new SecretCache({ refreshInterval: 1 });
// @ts-expect-error Not a number of milliseconds.
new SecretCache({ refreshIntervalMs: '5m' });

// An undefined option counts as missing, also under exactOptionalPropertyTypes.
const perhaps: { region?: string | undefined; versionStage?: string; ms?: number } = {};
new SecretCache({ region: perhaps.region, refreshIntervalMs: perhaps.ms, logger: undefined });
new SecretCache({ roles: { 'a/': 'arn', 'b/': { roleArn: 'arn', externalId: 'x' } }, fallbackRegions: ['eu-west-1'] as const });
createPool(cache, 'db', { connectTimeoutMs: perhaps.ms });
createFetch(cache, 'key', () => {}, { timeoutMs: perhaps.ms, fetch: undefined });

export async function use(): Promise<void> {
  const string: string = await cache.getSecretString('db', { versionStage: 'AWSPENDING', signal: AbortSignal.timeout(1) });
  const { port } = await cache.getSecretJson<{ port: number }>('db');
  const value: SecretValue = await cache.getSecretValue('db', { versionId: 'v1' });
  await cache.getSecretString('db', { versionStage: perhaps.versionStage, maxAgeMs: perhaps.ms, signal: undefined });
  const port2: number = await cache.getSecretField<number>('db', 'port', { maxAgeMs: 0 });
  const many: Map<string, string | Buffer> = await cache.getSecrets(['db', 'key']);
  const peeked: string | Buffer | undefined = cache.peek('db');
  cache.on('newVersion', ({ secretId, newVersionId }) => console.log(secretId.length, newVersionId));
  cache.on('fallbackLogin', ({ versionStage }) => console.log(versionStage, cache.stats().logins.fallbackLogins));
  cache.on('replica', ({ region, error }) => console.log(region, error.code, cache.stats().replicaReads));
  cache.on('refreshError', ({ error }) => console.log(error.code === 'THROTTLED', error.$metadata.requestId));
  // @ts-expect-error No such event.
  cache.on('error', () => {});
  const connection: { user: string } = await cache.connect('db', async ({ username }) => ({ user: username ?? '' }), {
    timeout: 5,
  });
  try {
    await cache.refreshSecretNow('db');
  } catch (error) {
    if (error instanceof LoginRejectedError) console.log(error.tried[0]?.versionStage);
    if (error instanceof SecretCacheError && error.retryable) console.log(error.serviceCode);
  }
  await createPool(cache, 'db', { host: 'h', max: 3 }).query<{ n: number }>('select 1');
  await createMysqlPool(cache, 'db', { host: 'h' }).query('select 1');
  await createMariadbPool(cache, 'db', { host: 'h', connectionLimit: 2, connectTimeoutMs: perhaps.ms }).query('select 1');
  const [row] = await createSql(cache, 'db', { host: 'h', max: 3, url: undefined })<{ n: number }[]>`select 1 as n`;
  await createRedis(cache, 'redis', { sentinels: [{ host: 'h', port: 26379 }], name: 'primary' }).get(String(row?.n));
  await createCluster(cache, 'redis', [{ host: 'h' }], { redisOptions: { keyPrefix: 'k' } }).get('key');
  // @ts-expect-error The password comes from the secret.
  createSql(cache, 'db', { host: 'h', password: 'x' });
  await createClient(cache, 'redis').connect();
  await createKnex(cache, 'db', { client: 'pg', connection: { host: 'h' } }).raw('select 1');
  await createFetch(cache, 'key', (headers, secret) => headers.set('x-key', String(secret.get('key'))))('https://x.example');
  console.log(port2, many.size, string, port, value.createdDate?.getTime(), peeked, connection.user);
  await cache[Symbol.asyncDispose]();
}
