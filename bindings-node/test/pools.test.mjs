/** Behavior common to the pools of all drivers: settings without a login, and which timeout applies. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import mysql from 'mysql2/promise';
import pg from 'pg';
import { SecretCache } from 'secretcache';
import { createKnex } from 'secretcache/knex';
import { createPool as createMariadbPool } from 'secretcache/mariadb';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool } from 'secretcache/pg';
import { createClient, createClientPool, createCluster } from 'secretcache/redis';

import { database } from './connected.mjs';
import { Endpoint, eventually } from './support.mjs';

describe('pools', () => {
  let endpoint;
  let postgres;
  let mariadb;
  let cache;
  before(async () => {
    [endpoint, postgres, mariadb] = await Promise.all([Endpoint.start(), database('postgres-15'), database('mariadb')]);
    cache = new SecretCache(endpoint.options);
    const admin = new pg.Client(postgres);
    await admin.connect();
    await admin.query(`create role "app x" login password 'pä:ss@/?'`);
    await admin.end();
    const { host, port, user, password } = mariadb;
    const root = await mysql.createConnection({ host, port, user, password });
    await root.query(`create user 'app x' identified by 'pä:ss@/?'`);
    await root.query(`create database if not exists shop`);
    await root.query(`grant all on shop.* to 'app x'`);
    await root.end();
    await endpoint.create('db', JSON.stringify({ username: 'app x', password: 'pä:ss@/?' }));
  });
  after(async () => {
    await cache?.close();
    await Promise.all([postgres, mariadb, endpoint].map((each) => each?.close()));
  });
  const url = (server, login = '', query = '') =>
    `${server === postgres ? 'postgres' : 'mysql'}://${login}${server.host}:${server.port}/shop${query}`;
  const inPostgres = (query) => `postgres://somebody@${postgres.host}:${postgres.port}/${postgres.database}${query}`;

  it('N3: a URL with a password is refused, in every form', () => {
    const message = /remove (the )?password.*secret "db"/;
    const refused = (make) => assert.throws(make, { name: 'TypeError', message });
    for (const connectionString of [url(postgres, 'app:pw@'), url(postgres, ':pw@'), url(postgres, '', '?a=b&password=pw')]) {
      refused(() => createPool(cache, 'db', { connectionString }));
      refused(() => createKnex(cache, 'db', { client: 'pg', connection: { connectionString } }));
      refused(() => createKnex(cache, 'db', { client: 'pg', connection: connectionString }));
    }
    refused(() => createMysqlPool(cache, 'db', { uri: url(mariadb, 'app:pw@') }));
    refused(() => createClient(cache, 'db', { url: 'redis://app:pw@h:6379' }));
    refused(() => createClientPool(cache, 'db', { url: 'redis://:pw@h:6379' }));
    refused(() => createCluster(cache, 'db', { rootNodes: [{ url: 'redis://:pw@h:6379' }] }));
    refused(() => createPool(cache, 'db', { password: 'pw' }));
    assert.throws(() => createPool(cache, 'db', url(postgres)), {
      name: 'TypeError',
      message: /connectionString names the server/,
    });
  });

  it('N3: host and database come from the URL, user and password from the secret', async (t) => {
    const pool = createPool(cache, 'db', { connectionString: inPostgres('?application_name=shop') });
    t.after(() => pool.end());
    const { rows } = await pool.query(`select current_user as name, current_setting('application_name') as application`);
    assert.deepEqual(rows, [{ name: 'app x', application: 'shop' }]);
    for (const connection of [inPostgres(''), { connectionString: inPostgres('?user=nobody') }]) {
      const knex = createKnex(cache, 'db', { client: 'pg', connection });
      t.after(() => knex.destroy());
      assert.equal((await knex.raw('select current_user as name')).rows[0].name, 'app x');
    }
    const mysqlPool = createMysqlPool(cache, 'db', { uri: url(mariadb, 'nobody@') });
    t.after(() => mysqlPool.end());
    const [[row]] = await mysqlPool.query('select current_user() as name, database() as place');
    assert.deepEqual({ ...row }, { name: 'app x@%', place: 'shop' });
  });

  it('N5: the connect timeout does not cover the wait for a free connection', async (t) => {
    const { host, port, database } = postgres;
    const pool = createPool(cache, 'db', { host, port, database, max: 1, connectTimeoutMs: 1000 });
    t.after(() => pool.end());
    const [, second] = await Promise.all([pool.query('select pg_sleep(1.8)'), pool.query('select 2 as n')]);
    assert.deepEqual(second.rows, [{ n: 2 }]);
    const mysqlPool = createMysqlPool(cache, 'db', {
      host: mariadb.host,
      port: mariadb.port,
      connectionLimit: 1,
      connectTimeoutMs: 1000,
    });
    t.after(() => mysqlPool.end());
    const [, [[row]]] = await Promise.all([mysqlPool.query('select sleep(1.8)'), mysqlPool.query('select 2 as n')]);
    assert.equal(row.n, 2);
    const impatient = createPool(cache, 'db', { host, port, database, max: 1, connectionTimeoutMillis: 300 });
    t.after(() => impatient.end());
    const waits = await Promise.allSettled([impatient.query('select pg_sleep(1)'), impatient.query('select 2')]);
    assert.match(waits[1].reason.message, /timeout exceeded when trying to connect/, 'the pool’s own timeout');
  });

  it('N9: many pools on one cache and many reads with one signal cause no warnings', async (t) => {
    const warnings = [];
    const listen = (warning) => warnings.push(String(warning));
    process.on('warning', listen);
    t.after(() => process.off('warning', listen));
    const { host, port, database } = postgres;
    const pools = Array.from({ length: 12 }, () => createPool(cache, 'db', { host, port, database }));
    const { signal } = new AbortController();
    await endpoint.create('fresh', 'value');
    await Promise.all(Array.from({ length: 30 }, () => cache.getSecretString('fresh', { signal })));
    await Promise.all(pools.map((pool) => pool.end()));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, []);
  });

  it('a login that hangs gives up its place in the pool', async (t) => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    t.after(() => silent.close());
    const pool = createPool(cache, 'db', { host: '127.0.0.1', port: silent.address().port, max: 1, connectTimeoutMs: 300 });
    for (let turn = 0; turn < 2; turn += 1) await assert.rejects(pool.query('select 1'), { code: 'TIMEOUT' });
    await eventually(() => pool.totalCount === 0);
    await pool.end();
  });

  it('a driver that gives up before it gets a login can connect later', async (t) => {
    let answer;
    const answered = new Promise((resolve) => {
      answer = resolve;
    });
    const value = JSON.stringify({ username: 'app x', password: 'pä:ss@/?' });
    const send = async ({ input }) => {
      await answered;
      return { ARN: `arn:${input.SecretId}`, VersionId: 'v1', VersionStages: ['AWSCURRENT'], SecretString: value };
    };
    const slow = new SecretCache({ client: { send }, logger: null });
    t.after(() => slow.close());
    const { host, port } = mariadb;
    const waits = { connectTimeout: 100, acquireTimeout: 300, initializationTimeout: 300 };
    const pool = createMariadbPool(slow, 'db', { host, port, database: 'shop', ...waits });
    t.after(() => pool.end());
    pool.on('error', () => {});
    await assert.rejects(pool.query('select 1 as one'), { code: /TIMEOUT/ });
    answer();
    await eventually(() =>
      pool.query('select 1 as one').then(
        ([row]) => row.one === 1,
        () => false,
      ),
    );
  });
});
