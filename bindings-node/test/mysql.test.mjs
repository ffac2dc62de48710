/** MariaDB and MySQL pools against real servers while passwords rotate. The program must see no failed login or query. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import mysql from 'mysql2/promise';
import { isRejectedLogin, SecretCache } from 'secretcache';
import { createKnex } from 'secretcache/knex';
import { createPool } from 'secretcache/mysql2';

import { BETWEEN_STEPS_MS, database, quick, rotations, through } from './connected.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually } from './support.mjs';

for (const [name, kind] of Object.entries({ MariaDB: 'mariadb', MySQL: 'mysql' })) {
  describe(name, () => {
    let endpoint;
    let server;
    let admin;
    before(async () => {
      [endpoint, server] = await Promise.all([Endpoint.start(), database(kind)]);
      admin = await mysql.createConnection({
        host: server.host,
        port: server.port,
        user: server.user,
        password: server.password,
      });
    });
    after(async () => {
      await admin?.end();
      await server?.close();
      await endpoint?.close();
    });

    const setPassword = async (user, password) => {
      await admin.query(`create user if not exists ${user}@'%'`);
      await admin.query(`alter user ${user}@'%' identified by '${password}'`);
    };

    /** Creates a user with a secret, and a cache. */
    const world = async (t, id) => {
      await setPassword(id, 'first');
      await endpoint.create(id, JSON.stringify({ username: id, password: 'first' }));
      const cache = new SecretCache({ ...endpoint.options, ...quick });
      t.after(() => cache.close());
      return cache;
    };
    const place = () => ({ host: server.host, port: server.port });

    for (const [strategy, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
      it(`serves a pool through ${strategy}-user rotations without a failure`, async (t) => {
        const id = `my_${strategy}`;
        const cache = await world(t, id);
        const pool = createPool(cache, id, { ...place(), connectionLimit: 4 });
        t.after(() => pool.end());
        let uses = 0;
        let last;
        const failures = await through(
          async () => (last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1)),
          async () => {
            const connection = await pool.getConnection();
            const [rows] = await connection.query('select current_user() as name');
            assert.match(rows[0].name, /^my_/);
            // Some connections are discarded, so that new ones are opened at all stages of a rotation.
            if ((uses += 1) % 3 === 0) connection.destroy();
            else connection.release();
          },
        );
        assert.deepEqual(failures, []);
        await eventually(async () => (await pool.query('select user() as name'))[0][0].name.startsWith(`${last.username}@`));
      });
    }

    it('throws errors other than refused logins unchanged', async (t) => {
      const cache = await world(t, 'my_other');
      const pool = createPool(cache, 'my_other', { ...place(), database: 'no_such' });
      t.after(() => pool.end());
      await assert.rejects(pool.query('select 1'), (error) => error.errno === 1044 || error.errno === 1049);
    });

    for (const [strategy, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
      it(`serves knex through ${strategy}-user rotations without a failure`, async (t) => {
        const cache = await world(t, `kx_${strategy}`);
        const knex = createKnex(cache, `kx_${strategy}`, { client: 'mysql2', connection: place(), pool: { min: 0, max: 4 } });
        t.after(() => knex.destroy());
        const failures = await through(
          () => rotations(() => rotate(endpoint, `kx_${strategy}`, setPassword, BETWEEN_STEPS_MS)),
          async () => assert.match((await knex.raw('select user() as name'))[0][0].name, /^kx_/),
        );
        assert.deepEqual(failures, []);
      });
    }

    it('retires idle and busy connections of an old version', async (t) => {
      const cache = await world(t, 'my_retire');
      const pool = createPool(cache, 'my_retire', place());
      t.after(() => pool.end());
      const [idle, busy] = [await pool.getConnection(), await pool.getConnection()];
      const [idleId, busyId] = [idle.threadId, busy.threadId];
      idle.release();
      await rotateAlternatingUsers(endpoint, 'my_retire', setPassword, 0);
      await cache.refreshSecretNow('my_retire');
      const alive = async () => (await admin.query('show processlist'))[0].map((each) => each.Id);
      await eventually(async () => !(await alive()).includes(idleId));
      assert.match((await busy.query('select user() as name'))[0][0].name, /^my_retire@/);
      busy.release();
      await eventually(async () => !(await alive()).includes(busyId));
      assert.match((await pool.query('select user() as name'))[0][0].name, /^my_retire_clone@/);
    });

    it('closes no connection mid-query, however often the version changes', async (t) => {
      const cache = await world(t, 'my_busy');
      const pool = createPool(cache, 'my_busy', { ...place(), connectionLimit: 6 });
      t.after(() => pool.end());
      const used = new Set();
      const failures = await through(
        () =>
          rotations(async () => {
            const login = await rotateAlternatingUsers(endpoint, 'my_busy', setPassword, BETWEEN_STEPS_MS);
            await cache.refreshSecretNow('my_busy');
            return login;
          }),
        async () => used.add((await pool.query('select connection_id() as id, sleep(rand() * 0.1)'))[0][0].id),
      );
      assert.deepEqual(failures, []);
      assert.ok(used.size > 4, 'connections of old versions were replaced');
    });

    it('recognizes a refused login from a server with messages in another language', async (t) => {
      const cache = await world(t, 'my_deutsch');
      await admin.query(`set global lc_messages = 'de_DE'`);
      t.after(() => admin.query(`set global lc_messages = 'en_US'`));
      const refusal = await mysql
        .createConnection({ ...place(), user: 'my_deutsch', password: 'falsch' })
        .catch((error) => error);
      assert.match(refusal.message, /Zugriffsberechtigung/);
      assert.ok(isRejectedLogin(refusal));
      const pool = createPool(cache, 'my_deutsch', place());
      t.after(() => pool.end());
      const failures = await through(
        () => rotations(() => rotateSingleUser(endpoint, 'my_deutsch', setPassword, BETWEEN_STEPS_MS)),
        async () => (await pool.getConnection()).destroy(),
      );
      assert.deepEqual(failures, []);
    });
  });
}
