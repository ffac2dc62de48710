/** Logins with IAM tokens: pools accept an IAM login's id instead of a secret's. The core tests the bytes of tokens. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inspect } from 'node:util';

import mysql from 'mysql2/promise';
import pg from 'pg';
import { createClient as createPlainClient } from 'redis';
import { iamLogin, SecretCache } from 'secretcache';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool } from 'secretcache/pg';
import { createClient } from 'secretcache/redis';

import { database } from './connected.mjs';

const HOST = 'shop.abc123.eu-central-1.rds.amazonaws.com';
const region = 'eu-central-1';

/** Creates a cache that has an access key but cannot reach the service. */
function cacheOf(t) {
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
  const cache = new SecretCache({ region, credentials, endpoint: 'http://127.0.0.1:1', logger: null });
  t.after(() => cache.close());
  return cache;
}

it('an id contains service, user, host and Region', () => {
  const logins = [
    iamLogin.rds({ user: 'app@shop', host: HOST, port: 5432, region }),
    iamLogin.elasticache({ user: 'app', cache: 'sessions', serverless: true }),
    iamLogin.memorydb({ user: 'app', cluster: 'sessions' }),
  ];
  assert.deepEqual(logins, [
    `rds-db://app%40shop@${HOST}:5432?region=eu-central-1`,
    'elasticache://app@sessions?serverless=true',
    'memorydb://app@sessions',
  ]);
  assert.throws(() => iamLogin.rds({ user: 'app', host: HOST, port: 70_000 }), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => iamLogin.rds({ user: 'app', host: HOST, prot: 5432 }), /prot is not an option of iamLogin\.rds/);
});

it('a token is signed without a call to AWS, and no log shows it', async (t) => {
  const cache = cacheOf(t);
  const credential = await cache.connect(iamLogin.rds({ user: 'app', host: HOST, port: 5432 }), (it) => it);
  const { username, password, versionId } = credential;
  assert.equal(username, 'app');
  assert.equal(versionId, 'AKIDEXAMPLE');
  assert.match(
    password,
    new RegExp(`^${HOST}:5432/\\?Action=connect&DBUser=app&X-Amz-Algorithm=.*&X-Amz-Signature=[0-9a-f]{64}$`),
  );
  assert.ok(!inspect(credential).includes(password.split('X-Amz-Signature=')[1]));
  assert.deepEqual(cache.stats().apiCalls, {});
});

it('a cache with the program’s own client refuses IAM logins', async (t) => {
  const cache = new SecretCache({ client: { send: () => assert.fail('asked') }, logger: null });
  t.after(() => cache.close());
  const read = cache.getSecretString(iamLogin.memorydb({ user: 'app', cluster: 'sessions' }));
  await assert.rejects(read, { code: 'INVALID_ARGUMENT', message: /uses your own client or source/ });
});

it('pools log in with a token', async (t) => {
  const cache = cacheOf(t);
  const [postgres, mariadb, redis] = await Promise.all(['postgres-15', 'mariadb', 'redis'].map(database));
  t.after(() => Promise.all([postgres, mariadb, redis].map((each) => each.close())));
  const login = (port) => iamLogin.rds({ user: 'app', host: HOST, port });
  const tokenOf = (id) => cache.connect(id, ({ password }) => password);

  const admin = new pg.Client(postgres);
  await admin.connect();
  await admin.query(`create role app login password '${await tokenOf(login(5432))}'`);
  await admin.end();
  const pool = createPool(cache, login(5432), { host: postgres.host, port: postgres.port, database: postgres.database });
  assert.deepEqual((await pool.query('select current_user as name')).rows, [{ name: 'app' }]);
  await pool.end();

  const { host: server, port: mysqlPort, user: rootUser, password: rootPassword } = mariadb;
  const root = await mysql.createConnection({ host: server, port: mysqlPort, user: rootUser, password: rootPassword });
  await root.query(`create user app@'%' identified by '${await tokenOf(login(3306))}'`);
  await root.end();
  const mysqlPool = createMysqlPool(cache, login(3306), { host: mariadb.host, port: mariadb.port });
  assert.match((await mysqlPool.query('select current_user() as name'))[0][0].name, /^app@/);
  await mysqlPool.end();

  const sessions = iamLogin.elasticache({ user: 'app', cache: 'sessions' });
  const { user: username, password, host, port } = redis;
  const operator = await createPlainClient({ username, password, socket: { host, port } }).connect();
  await operator.sendCommand(['ACL', 'SETUSER', 'app', 'on', `>${await tokenOf(sessions)}`, '+@all']);
  await operator.close();
  const client = await createClient(cache, sessions, { socket: { host, port } }).connect();
  assert.equal(await client.sendCommand(['ACL', 'WHOAMI']), 'app');
  await client.close();
});
