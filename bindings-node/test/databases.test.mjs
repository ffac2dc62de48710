/** Pools and clients against real servers, while their passwords rotate: no login may fail to the program. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import mysql from 'mysql2/promise';
import pg from 'pg';
import { createClient as makeRedis } from 'redis';
import { isRejectedLogin, LoginRejectedError, SecretCache } from 'secretcache';
import { createKnex } from 'secretcache/knex';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool as createPgPool } from 'secretcache/pg';
import { createClient as createRedis } from 'secretcache/redis';

import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually, settle, start } from './support.mjs';

/** How often each test rotates, and how long each moment between the steps lasts. */
const ROTATIONS = Number(process.env.SECRETCACHE_ROTATIONS ?? 3);
const BETWEEN_STEPS_MS = 60;
const WORKERS = 4;

/** Starts a database, and stops it by the end of its input. */
async function database(kind) {
  const { line, close } = await start('secretcache-databases', [kind], (child) => child.stdin.end());
  return { ...JSON.parse(line), close };
}

/** Lets programs work while secrets rotate, and gives what went wrong for any of them. */
async function through(rotations, work) {
  const failures = [];
  let done = 0;
  let ended = false;
  const worker = async () => {
    while (!ended) {
      await work().then(
        () => (done += 1),
        (error) => failures.push(error),
      );
    }
  };
  const workers = Array.from({ length: WORKERS }, worker);
  await rotations();
  const before = done;
  await eventually(() => done > before + WORKERS || failures.length > 0);
  ended = true;
  await Promise.all(workers);
  return failures;
}

async function rotations(rotate) {
  const used = [];
  for (let turn = 0; turn < ROTATIONS; turn += 1) used.push(await rotate());
  return used;
}

const quick = { refreshIntervalMs: 2000, logger: null };

describe('PostgreSQL', () => {
  let endpoint;
  let server;
  let admin;
  before(async () => {
    [endpoint, server] = await Promise.all([Endpoint.start(), database('postgres-15')]);
    admin = new pg.Client(server);
    await admin.connect();
  });
  after(async () => {
    await admin?.end();
    await server?.close();
    await endpoint?.close();
  });

  const setPassword = (user, password) =>
    admin.query(`do $$ begin if not exists (select from pg_roles where rolname = '${user}') then
      create role ${user} login; end if; end $$; alter role ${user} password '${password}'`);

  /** A user with a secret, and a cache. */
  const world = async (t, name) => {
    await setPassword(name, 'first');
    await endpoint.create(name, JSON.stringify({ username: name, password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    return cache;
  };
  const place = () => ({ host: server.host, port: server.port, database: server.database });

  it('refuses a wrong password at all', async () => {
    const client = new pg.Client({ ...server, password: 'wrong' });
    await assert.rejects(client.connect(), isRejectedLogin);
  });

  for (const [name, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
    it(`serves a pool through ${name}-user rotations without a failure`, async (t) => {
      const cache = await world(t, `app_${name}`);
      const pool = createPgPool(cache, `app_${name}`, { ...place(), max: 6, maxUses: 3 });
      t.after(() => pool.end());
      let last;
      const failures = await through(
        async () => (last = (await rotations(() => rotate(endpoint, `app_${name}`, setPassword, BETWEEN_STEPS_MS))).at(-1)),
        async () => {
          const { rows } = await pool.query('select current_user as name');
          assert.match(rows[0].name, /^app_/);
        },
      );
      assert.deepEqual(failures, []);
      await eventually(async () => (await pool.query('select current_user as name')).rows[0].name === last.username);
    });
  }

  it('costs one refused login for each rotation, not one for each connection', async (t) => {
    const cache = await world(t, 'app_count');
    let refused = 0;
    const login = async ({ username, password }) => {
      const client = new pg.Client({ ...place(), user: username, password });
      await client.connect().catch((error) => {
        refused += 1;
        throw error;
      });
      return client;
    };
    await (await cache.connect('app_count', login)).end();
    await settle();
    await rotateSingleUser(endpoint, 'app_count', setPassword, 0);
    for (let each = 0; each < 10; each += 1) await (await cache.connect('app_count', login)).end();
    assert.equal(refused, 1);
  });

  it('passes errors through that are no refused logins', async (t) => {
    const cache = await world(t, 'app_other');
    const pool = createPgPool(cache, 'app_other', { ...place(), database: 'no_such_database' });
    t.after(() => pool.end());
    await assert.rejects(pool.query('select 1'), { code: '3D000' });
  });

  it('says which versions were refused when none logs in', async (t) => {
    const cache = await world(t, 'app_broken');
    await setPassword('app_broken', 'another');
    const pool = createPgPool(cache, 'app_broken', { ...place(), connectTimeoutMs: 300 });
    t.after(() => pool.end());
    const error = await pool.query('select 1').catch((error) => error);
    assert.ok(error instanceof LoginRejectedError);
    assert.equal(error.code, 'LOGIN_REJECTED');
    assert.equal(error.cause.code, '28P01');
    assert.ok(error.tried[0].times >= 1);
    assert.equal(error.tried[0].versionStage, 'AWSCURRENT');
  });

  it('retires connections of an old version, idle and busy ones', async (t) => {
    const cache = await world(t, 'app_retire');
    const pool = createPgPool(cache, 'app_retire', place());
    t.after(() => pool.end());
    const [idle, busy] = await Promise.all([pool.connect(), pool.connect()]);
    idle.release();
    await rotateAlternatingUsers(endpoint, 'app_retire', setPassword, 0);
    await cache.refreshSecretNow('app_retire');
    await eventually(() => pool.totalCount === 1);
    assert.equal((await busy.query('select current_user as name')).rows[0].name, 'app_retire');
    busy.release();
    await eventually(() => pool.totalCount === 0);
    assert.equal((await pool.query('select current_user as name')).rows[0].name, 'app_retire_clone');
  });

  it('serves callbacks as pg does', async (t) => {
    const cache = await world(t, 'app_callback');
    const pool = createPgPool(cache, 'app_callback', place());
    const name = await new Promise((resolve, reject) => {
      pool.connect((error, client, done) => {
        if (error) return reject(error);
        client.query('select current_user as name', (error, result) => {
          done();
          error ? reject(error) : resolve(result.rows[0].name);
        });
      });
    });
    assert.equal(name, 'app_callback');
    await new Promise((resolve) => pool.end(resolve));
  });

  it('serves knex through rotations without a failure', async (t) => {
    const cache = await world(t, 'app_knex');
    const knex = createKnex(cache, 'app_knex', { client: 'pg', connection: place(), pool: { min: 0, max: 4 } });
    t.after(() => knex.destroy());
    const failures = await through(
      () => rotations(() => rotateAlternatingUsers(endpoint, 'app_knex', setPassword, BETWEEN_STEPS_MS)),
      async () => assert.match((await knex.raw('select current_user as name')).rows[0].name, /^app_knex/),
    );
    assert.deepEqual(failures, []);
  });
});

describe('MariaDB', () => {
  let endpoint;
  let server;
  let admin;
  before(async () => {
    [endpoint, server] = await Promise.all([Endpoint.start(), database('mariadb')]);
    admin = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password });
  });
  after(async () => {
    await admin?.end();
    await server?.close();
    await endpoint?.close();
  });

  const setPassword = async (user, password) => {
    await admin.query(`create user if not exists ${user}@'%'`);
    await admin.query(`set password for ${user}@'%' = password('${password}')`);
  };

  for (const [name, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
    it(`serves a pool through ${name}-user rotations without a failure`, async (t) => {
      const id = `my_${name}`;
      await setPassword(id, 'first');
      await endpoint.create(id, JSON.stringify({ username: id, password: 'first' }));
      const cache = new SecretCache({ ...endpoint.options, ...quick });
      t.after(() => cache.close());
      const pool = createMysqlPool(cache, id, { host: server.host, port: server.port, connectionLimit: 4 });
      t.after(() => pool.end());
      let uses = 0;
      let last;
      const failures = await through(
        async () => (last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1)),
        async () => {
          const connection = await pool.getConnection();
          const [rows] = await connection.query('select current_user() as name');
          assert.match(rows[0].name, /^my_/);
          // Some connections are thrown away, so that new ones are made at every moment.
          if ((uses += 1) % 3 === 0) connection.destroy();
          else connection.release();
        },
      );
      assert.deepEqual(failures, []);
      await eventually(async () => (await pool.query('select user() as name'))[0][0].name.startsWith(`${last.username}@`));
    });
  }

  it('passes errors through that are no refused logins', async (t) => {
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const pool = createMysqlPool(cache, 'my_single', { host: server.host, port: server.port, database: 'no_such' });
    t.after(() => pool.end());
    await assert.rejects(pool.query('select 1'), (error) => error.errno === 1044 || error.errno === 1049);
  });
});

describe('Redis', () => {
  let endpoint;
  let server;
  let admin;
  before(async () => {
    [endpoint, server] = await Promise.all([Endpoint.start(), database('redis')]);
    const { host, port, user: username, password } = server;
    admin = makeRedis({ username, password, socket: { host, port } });
    await admin.connect();
  });
  after(async () => {
    await admin?.close();
    await server?.close();
    await endpoint?.close();
  });

  const setPassword = (user, password) =>
    admin.sendCommand(['ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '+@all']);

  it('keeps a client through rotations, at every reconnection', async (t) => {
    const id = `redis-${randomUUID()}`;
    await setPassword('cacher', 'first');
    await endpoint.create(id, JSON.stringify({ username: 'cacher', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const { host, port } = server;
    const connectAndUse = async () => {
      const client = createRedis(cache, id, { socket: { host, port } });
      client.on('error', (error) => assert.ok(isRejectedLogin(error), error));
      await client.connect();
      assert.equal(await client.sendCommand(['ACL', 'WHOAMI']), 'cacher');
      client.destroy();
    };
    const failures = await through(
      () => rotations(() => rotateSingleUser(endpoint, id, setPassword, BETWEEN_STEPS_MS)),
      connectAndUse,
    );
    assert.deepEqual(failures, []);
  });

  it('logs in anew on a live connection when there is a new version', async (t) => {
    const id = `redis-${randomUUID()}`;
    await setPassword('live', 'first');
    await setPassword('live_clone', 'first');
    await endpoint.create(id, JSON.stringify({ username: 'live', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const client = createRedis(cache, id, { socket: { host: server.host, port: server.port } });
    client.on('error', () => {});
    await client.connect();
    await rotateAlternatingUsers(endpoint, id, setPassword, 0);
    await eventually(async () => (await client.sendCommand(['ACL', 'WHOAMI'])) === 'live_clone');
    await client.close();
  });
});
