/** Passwords stay out of logs: prints everything that the package returns or decorates, in every usual way. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';

import mysql from 'mysql2/promise';
import pg from 'pg';
import pino from 'pino';
import { SecretCache } from 'secretcache';
import { createFetch } from 'secretcache/fetch';
import { createCluster, createRedis } from 'secretcache/ioredis';
import { createKnex } from 'secretcache/knex';
import { createPool as createMariadbPool } from 'secretcache/mariadb';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool } from 'secretcache/pg';
import { createSql } from 'secretcache/postgres';
import { createClient, createClientPool } from 'secretcache/redis';

import { database } from './connected.mjs';
import { Endpoint, eventually } from './support.mjs';

const CANARY = 'c4n4ry-pw';

/** Returns what `JSON.stringify` shows, without failing on cycles. */
function json(value) {
  const seen = new WeakSet();
  return JSON.stringify(value, (_, each) => {
    if (typeof each === 'bigint') return String(each);
    if (typeof each !== 'object' || each === null) return each;
    if (seen.has(each)) return '(seen)';
    seen.add(each);
    return each;
  });
}

/**
 * Returns where `util.inspect` with all its options would show the password, at any depth. It cannot see into getters,
 * closures and private fields.
 */
function walk(value) {
  const seen = new WeakSet();
  const ahead = [['', value]];
  while (ahead.length > 0) {
    const [path, each] = ahead.pop();
    if (typeof each === 'string' && each.includes(CANARY)) return `${path} is ${each}`;
    if (Buffer.isBuffer(each) && each.includes(CANARY)) return `${path} holds ${CANARY}`;
    if ((typeof each !== 'object' && typeof each !== 'function') || each === null || seen.has(each)) continue;
    if (each === process || each === globalThis || ArrayBuffer.isView(each)) continue;
    seen.add(each);
    if (each instanceof Map || each instanceof Set) ahead.push([`${path}.entries`, [...each]]);
    for (const name of Reflect.ownKeys(each)) {
      const property = Object.getOwnPropertyDescriptor(each, name);
      if (property !== undefined && 'value' in property) ahead.push([`${path}.${String(name)}`, property.value]);
    }
  }
  return '';
}

function logged(value) {
  let lines = '';
  const logger = pino({ level: 'info' }, { write: (line) => (lines += line) });
  logger.info({ value, err: value });
  logger.error(value);
  return lines;
}

/** The usual ways to print a value. */
const WAYS = {
  'console.log': (value) => inspect(value),
  'util.inspect': (value) => inspect(value, { depth: 3, showHidden: true }),
  everything: walk,
  'JSON.stringify': json,
  spread: (value) => inspect({ ...value }, { depth: 3 }),
  assign: (value) => inspect(Object.assign({}, value), { depth: 3 }),
  template: (value) => `${value?.stack ?? ''} ${value?.message ?? ''} ${Object.prototype.toString.call(value)}`,
  pino: logged,
};

function assertHidden(what, value, except = []) {
  for (const [way, print] of Object.entries(WAYS)) {
    if (except.includes(way)) continue;
    const text = print(value) ?? '';
    const at = text.indexOf(CANARY);
    assert.equal(at, -1, `${way} of ${what}: …${text.slice(Math.max(at - 200, 0), at + 20)}`);
  }
}

describe('a log shows no password', () => {
  let endpoint;
  let postgres;
  let mariadb;
  let redis;
  let cache;
  before(async () => {
    [endpoint, postgres, mariadb, redis] = await Promise.all([
      Endpoint.start(),
      database('postgres-15'),
      database('mariadb'),
      database('redis'),
    ]);
    cache = new SecretCache({ ...endpoint.options, credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: CANARY } });
    const admin = new pg.Client(postgres);
    await admin.connect();
    await admin.query(`create role logged login password '${CANARY}'`);
    await admin.query('alter role logged connection limit 30');
    await admin.end();
    const { host, port, user, password } = mariadb;
    const root = await mysql.createConnection({ host, port, user, password });
    await root.query(`create user logged identified by '${CANARY}'`);
    await root.query('grant all on *.* to logged');
    await root.end();
    const client = (await import('redis')).createClient({
      username: redis.user,
      password: redis.password,
      socket: { host: redis.host, port: redis.port },
    });
    await client.connect();
    await client.sendCommand(['ACL', 'SETUSER', 'logged', 'on', `>${CANARY}`, '~*', '+@all']);
    await client.close();
    await endpoint.create('logged', JSON.stringify({ username: 'logged', password: CANARY }));
    await endpoint.create('refused', JSON.stringify({ username: 'logged', password: `${CANARY}-refused` }));
    await endpoint.create('binary', Buffer.from(CANARY));
  });
  after(async () => {
    await cache?.close();
    await Promise.all([postgres, mariadb, redis, endpoint].map((each) => each?.close()));
  });
  const place = ({ host, port, database }) => ({ host, port, ...(database === undefined ? {} : { database }) });
  const refusal = (promise) =>
    promise.then(
      () => assert.fail('it was refused'),
      (error) => error,
    );

  it('S4: of the cache, its values, credentials, errors and events', async () => {
    const events = [];
    for (const name of ['newVersion', 'stale', 'refreshError', 'fallbackLogin']) cache.on(name, (event) => events.push(event));
    assertHidden('a value', await cache.getSecretValue('logged'));
    assertHidden('a binary value', await cache.getSecretValue('binary'));
    assertHidden('a credential', await cache.connect('logged', (credential) => credential));
    assertHidden('NOT_JSON', await refusal(cache.getSecretJson('binary')));
    assertHidden(
      'a refusal',
      await refusal(
        cache.connect('logged', () => Promise.reject(Object.assign(new Error('no'), { code: '28P01' })), { timeoutMs: 1000 }),
      ),
    );
    await refusal(cache.getSecretString('missing'));
    assertHidden('the cache', cache);
    assertHidden('its statistics', cache.stats());
    assertHidden('its events', events);
    assertHidden(
      'a fetch',
      createFetch(cache, 'logged', () => {}),
    );
  });

  it('S4: of a pg pool, its options, clients and errors', async (t) => {
    const pool = createPool(cache, 'logged', place(postgres));
    t.after(() => pool.end());
    const errors = [];
    pool.on('error', (...all) => errors.push(...all));
    const client = await pool.connect();
    assertHidden('a client', client);
    assertHidden('a failed query', await refusal(client.query('select nothing from nowhere')));
    client.release();
    assertHidden('the pool', pool);
    assertHidden('its options', pool.options);
    const { rows } = await pool.query('select pg_backend_pid() as pid');
    const admin = new pg.Client(postgres);
    await admin.connect();
    await admin.query('select pg_terminate_backend($1)', [rows[0].pid]);
    await admin.end();
    await eventually(() => errors.length > 0);
    assertHidden('the error of an idle client', errors);
    const refused = createPool(cache, 'refused', { ...place(postgres), connectTimeoutMs: 1000 });
    t.after(() => refused.end());
    assertHidden('a refused login', await refusal(refused.query('select 1')));
    assertHidden('its pool', refused);
    const byUrl = createPool(cache, 'logged', {
      connectionString: `postgres://${postgres.host}:${postgres.port}/${postgres.database}`,
    });
    t.after(() => byUrl.end());
    await byUrl.query('select 1');
    assertHidden('a pool with a URL', byUrl);
  });

  it('S4: of a mysql2 pool and its connections', async (t) => {
    const pool = createMysqlPool(cache, 'logged', place(mariadb));
    t.after(() => pool.end());
    const connection = await pool.getConnection();
    assertHidden('a connection', connection);
    assertHidden('a callback connection', connection.connection);
    assertHidden('a failed query', await refusal(connection.query('select nothing from nowhere')));
    // A command for which the server asks for the password again still works.
    await connection.changeUser({ database: 'mysql' });
    assertHidden('a changed connection', connection);
    connection.release();
    assertHidden('the pool', pool);
    assertHidden('the callback pool', pool.pool);
    const refused = createMysqlPool(cache, 'refused', { ...place(mariadb), connectTimeoutMs: 1000 });
    t.after(() => refused.end());
    assertHidden('a refused login', await refusal(refused.query('select 1')));
    assertHidden('its pool', refused);
  });

  it('S4: of a mariadb pool, its connections and errors', async (t) => {
    const pool = createMariadbPool(cache, 'logged', { ...place(mariadb), connectionLimit: 2 });
    t.after(() => pool.end());
    const seen = [];
    for (const name of ['connection', 'acquire', 'release', 'error']) pool.on(name, (each) => seen.push(each));
    const connection = await pool.getConnection();
    assertHidden('a connection', connection);
    assertHidden('a failed query', await refusal(connection.query('select nothing from nowhere')));
    await connection.release();
    assertHidden('the pool', pool);
    assertHidden('what its events give', seen);
    const quick = { connectTimeoutMs: 1000, acquireTimeout: 1500, initializationTimeout: 1000 };
    const refused = createMariadbPool(cache, 'refused', { ...place(mariadb), ...quick });
    refused.on('error', (error) => seen.push(error));
    t.after(() => refused.end());
    assertHidden('a refused login', await refusal(refused.query('select 1')));
    assertHidden('its pool', refused);
    assertHidden('its errors', seen);
  });

  it('S4: of postgres.js, its options and errors', async (t) => {
    const sql = createSql(cache, 'logged', place(postgres));
    t.after(() => sql.end());
    assertHidden('a result', await sql`select 1`);
    assertHidden('a failed query', await refusal(sql`select nothing from nowhere`));
    assertHidden('sql', sql);
    assertHidden('its options', sql.options);
    const refused = createSql(cache, 'refused', { ...place(postgres), connectTimeoutMs: 1000 });
    t.after(() => refused.end());
    assertHidden('a refused login', await refusal(refused`select 1`));
    assertHidden('refused', refused);
  });

  it('S4: of ioredis, its clients and clusters', async (t) => {
    const { host, port } = redis;
    const client = createRedis(cache, 'logged', { host, port });
    t.after(() => client.disconnect());
    await client.ping();
    assertHidden('a client', client);
    assertHidden('its options', client.options);
    assertHidden('a failed command', await refusal(client.call('NOTHING')));
    const cluster = createCluster(cache, 'logged', [{ host, port }], { lazyConnect: true });
    t.after(() => cluster.disconnect());
    const errors = [];
    cluster.on('error', (error) => errors.push(error));
    // The server is not in a cluster: its node logs in, then reports that.
    errors.push(await refusal(cluster.connect()));
    assertHidden('a cluster', cluster);
    assertHidden('its errors', errors);
  });

  it('S4: of knex, its settings and connections', async (t) => {
    for (const [client, server] of Object.entries({ pg: postgres, mysql2: mariadb })) {
      const knex = createKnex(cache, 'logged', { client, connection: place(server) });
      t.after(() => knex.destroy());
      await knex.raw('select 1');
      const connection = await knex.client.acquireConnection();
      await knex.client.releaseConnection(connection);
      // knex redefines the password of a mysql2 connection as a plain non-enumerable value at each checkout.
      const except = client === 'pg' ? [] : ['util.inspect', 'everything'];
      assertHidden(`a connection of ${client}`, connection, except);
      assertHidden('its config', connection.config, except);
      assertHidden(`the client of ${client}`, knex.client, except);
      assertHidden('connectionSettings', knex.client.connectionSettings);
      assertHidden('knex', knex, except);
      assertHidden('a query', knex('nowhere').where({ a: 1 }).toSQL());
      assertHidden('a failed query', await refusal(knex.raw('select nothing from nowhere')), except);
      const refused = createKnex(cache, 'refused', { client, connection: place(server), connectTimeoutMs: 1000 });
      t.after(() => refused.destroy());
      assertHidden('a refused login', await refusal(refused.raw('select 1')));
      assertHidden('its client', refused.client);
    }
  });

  it('S4: of Redis clients and their errors', async (t) => {
    const settings = { socket: { host: redis.host, port: redis.port } };
    const client = createClient(cache, 'logged', settings);
    const errors = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    t.after(() => client.destroy());
    assertHidden('a client', client);
    assertHidden('a failed command', await refusal(client.sendCommand(['NOTHING'])));
    const pool = createClientPool(cache, 'logged', settings);
    pool.on('error', (error) => errors.push(error));
    await pool.connect();
    t.after(() => pool.destroy());
    await pool.get('key');
    assertHidden('a pool', pool);
    await pool.execute((client) => assertHidden('a client of a pool', client));
    const refused = createClient(cache, 'refused', {
      socket: { ...settings.socket, reconnectStrategy: false },
      connectTimeoutMs: 1000,
    });
    refused.on('error', (error) => errors.push(error));
    assertHidden('a refused login', await refusal(refused.connect()));
    assertHidden('errors', errors);
  });
});
