/** PostgreSQL pools against a real server while passwords rotate. The program must see no failed login or query. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import pg from 'pg';
import { isRejectedLogin, LoginRejectedError, SecretCache } from 'secretcache';
import { createKnex } from 'secretcache/knex';
import { createPool } from 'secretcache/pg';

import { BETWEEN_STEPS_MS, database, quick, rotations, through } from './connected.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually, settle } from './support.mjs';

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

  /** Creates a user with a secret, and a cache. */
  const world = async (t, name) => {
    await setPassword(name, 'first');
    await endpoint.create(name, JSON.stringify({ username: name, password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    return cache;
  };
  const place = () => ({ host: server.host, port: server.port, database: server.database });

  it('refuses a wrong password', async () => {
    const client = new pg.Client({ ...server, password: 'wrong' });
    await assert.rejects(client.connect(), isRejectedLogin);
  });

  for (const [name, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
    it(`serves a pool through ${name}-user rotations without a failure`, async (t) => {
      const cache = await world(t, `app_${name}`);
      const pool = createPool(cache, `app_${name}`, { ...place(), max: 6, maxUses: 3 });
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

  it('throws errors other than refused logins unchanged', async (t) => {
    const cache = await world(t, 'app_other');
    const pool = createPool(cache, 'app_other', { ...place(), database: 'no_such_database' });
    t.after(() => pool.end());
    await assert.rejects(pool.query('select 1'), { code: '3D000' });
  });

  it('says which versions were refused when none logs in', async (t) => {
    const cache = await world(t, 'app_broken');
    await setPassword('app_broken', 'another');
    const pool = createPool(cache, 'app_broken', { ...place(), connectTimeoutMs: 300 });
    t.after(() => pool.end());
    const error = await pool.query('select 1').catch((error) => error);
    assert.ok(error instanceof LoginRejectedError);
    assert.equal(error.code, 'LOGIN_REJECTED');
    assert.equal(error.cause.code, '28P01');
    assert.ok(error.tried[0].times >= 1);
    assert.equal(error.tried[0].versionStage, 'AWSCURRENT');
  });

  it('retires idle and busy connections of an old version', async (t) => {
    const cache = await world(t, 'app_retire');
    const pool = createPool(cache, 'app_retire', place());
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

  it('supports callbacks as pg does', async (t) => {
    const cache = await world(t, 'app_callback');
    const pool = createPool(cache, 'app_callback', place());
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

  for (const [name, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
    it(`serves knex through ${name}-user rotations without a failure`, async (t) => {
      const cache = await world(t, `knex_${name}`);
      const knex = createKnex(cache, `knex_${name}`, { client: 'pg', connection: place(), pool: { min: 0, max: 4 } });
      t.after(() => knex.destroy());
      const failures = await through(
        () => rotations(() => rotate(endpoint, `knex_${name}`, setPassword, BETWEEN_STEPS_MS)),
        async () => assert.match((await knex.raw('select current_user as name')).rows[0].name, /^knex_/),
      );
      assert.deepEqual(failures, []);
    });
  }

  it('closes no connection mid-query, however often the version changes', async (t) => {
    const cache = await world(t, 'app_busy');
    const pool = createPool(cache, 'app_busy', { ...place(), max: 6 });
    t.after(() => pool.end());
    const used = new Set();
    const failures = await through(
      () =>
        rotations(async () => {
          const login = await rotateAlternatingUsers(endpoint, 'app_busy', setPassword, BETWEEN_STEPS_MS);
          await cache.refreshSecretNow('app_busy');
          return login;
        }),
      async () => used.add((await pool.query('select pg_backend_pid() as pid, pg_sleep(random() * 0.1)')).rows[0].pid),
    );
    assert.deepEqual(failures, []);
    assert.ok(used.size > 4, 'connections of old versions were replaced');
  });

  it('recognizes a refused login from a server with messages in another language', async (t) => {
    const cache = await world(t, 'app_deutsch');
    t.after(async () => {
      await admin.query('alter system reset lc_messages');
      await admin.query('select pg_reload_conf()');
    });
    await admin.query(`alter system set lc_messages = 'de_DE.UTF-8'`);
    await admin.query('select pg_reload_conf()');
    const refusal = () =>
      new pg.Client({ ...place(), user: 'app_deutsch', password: 'falsch' }).connect().catch((error) => error);
    await eventually(async () => /fehlgeschlagen/.test((await refusal()).message));
    assert.ok(isRejectedLogin(await refusal()));
    const pool = createPool(cache, 'app_deutsch', { ...place(), maxUses: 1 });
    t.after(() => pool.end());
    const failures = await through(
      () => rotations(() => rotateSingleUser(endpoint, 'app_deutsch', setPassword, BETWEEN_STEPS_MS)),
      () => pool.query('select 1'),
    );
    assert.deepEqual(failures, []);
  });
});
