/** Libraries on top of a driver (ORMs, query builders, job queues), against real servers while passwords rotate. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { MikroORM } from '@mikro-orm/postgresql';
import { PrismaMariaDb } from '@prisma/adapter-mariadb';
import { PrismaPg } from '@prisma/adapter-pg';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Kysely, MysqlDialect, PostgresDialect, sql } from 'kysely';
import mysql from 'mysql2/promise';
import pg from 'pg';
import PgBoss from 'pg-boss';
import { SecretCache } from 'secretcache';
import { createPool as createMariadbPool } from 'secretcache/mariadb';
import { createPool as createMysqlPool } from 'secretcache/mysql2';
import { createPool } from 'secretcache/pg';
import { createSql } from 'secretcache/postgres';
import { dialectModule } from 'secretcache/sequelize';
import { driver } from 'secretcache/typeorm';
import { QueryTypes, Sequelize } from 'sequelize';
import { DataSource } from 'typeorm';

import { BETWEEN_STEPS_MS, database, quick, rotations, through } from './connected.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually } from './support.mjs';

const STRATEGIES = { single: rotateSingleUser, alternating: rotateAlternatingUsers };

describe('on PostgreSQL', () => {
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
      create role ${user} login superuser; end if; end $$; alter role ${user} password '${password}'`);

  /** Each returns a function that queries the name of the logged-in user, and one that closes everything. */
  const PROGRAMS = {
    TypeORM: async (cache, id, place) => {
      const source = new DataSource({ type: 'postgres', ...place, driver: driver(cache, id), extra: { max: 2, maxUses: 5 } });
      await source.initialize();
      return [async () => (await source.query('select current_user as name'))[0].name, () => source.destroy()];
    },
    Sequelize: async (cache, id, place) => {
      const settings = { dialect: 'postgres', ...place, logging: false, pool: { max: 2, maxUses: 5 } };
      const sequelize = new Sequelize({ ...settings, dialectModule: dialectModule(cache, id) });
      const query = () => sequelize.query('select current_user as name', { type: QueryTypes.SELECT });
      return [async () => (await query())[0].name, () => sequelize.close()];
    },
    Prisma: async (cache, id, place) => {
      const pool = createPool(cache, id, { ...place, max: 2, maxUses: 5 });
      const adapter = await new PrismaPg(pool).connect();
      const query = { sql: 'select current_user::text as name', args: [], argTypes: [] };
      return [async () => (await adapter.queryRaw(query)).rows[0][0], () => pool.end()];
    },
    MikroORM: async (cache, id, place) => {
      const pool = createPool(cache, id, { ...place, max: 2, maxUses: 5 });
      const driverOptions = new PostgresDialect({ pool });
      const orm = await MikroORM.init({ dbName: place.database, driverOptions, discovery: { warnWhenNoEntities: false } });
      const query = () => orm.em.getConnection().execute('select current_user as name');
      return [async () => (await query())[0].name, () => orm.close()];
    },
    'postgres.js': async (cache, id, place) => {
      // `max_lifetime` is in seconds.
      const sql = createSql(cache, id, { ...place, max: 4, max_lifetime: 0.1 });
      return [async () => (await sql`select current_user as name`)[0].name, () => sql.end()];
    },
    Drizzle: async (cache, id, place) => {
      const pool = createPool(cache, id, { ...place, max: 2, maxUses: 5 });
      const db = drizzle({ client: pool });
      return [async () => (await db.execute('select current_user as name')).rows[0].name, () => pool.end()];
    },
    Kysely: async (cache, id, place) => {
      const pool = createPool(cache, id, { ...place, max: 2, maxUses: 5 });
      const db = new Kysely({ dialect: new PostgresDialect({ pool }) });
      return [async () => (await sql`select current_user as name`.execute(db)).rows[0].name, () => db.destroy()];
    },
  };

  for (const [strategy, rotate] of Object.entries(STRATEGIES)) {
    for (const [program, make] of Object.entries(PROGRAMS)) {
      it(`${program} works through ${strategy}-user rotations without a failure`, async (t) => {
        const id = `${program}_${strategy}`.toLowerCase().replace('.', '');
        await setPassword(id, 'first');
        await endpoint.create(id, JSON.stringify({ username: id, password: 'first' }));
        const cache = new SecretCache({ ...endpoint.options, ...quick });
        t.after(() => cache.close());
        const { host, port, database } = server;
        const [whoAmI, end] = await make(cache, id, { host, port, database });
        t.after(end);
        let last;
        const failures = await through(
          async () => {
            last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1);
          },
          async () => assert.match(await whoAmI(), new RegExp(`^${id}`)),
        );
        assert.deepEqual(failures, []);
        await eventually(async () => (await whoAmI()) === last.username);
      });
    }
  }

  it('pg-boss runs every job once during rotations', async (t) => {
    await setPassword('boss', 'first');
    await endpoint.create('boss', JSON.stringify({ username: 'boss', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const { host, port, database } = server;
    const pool = createPool(cache, 'boss', { host, port, database, max: 4, maxUses: 5 });
    t.after(() => pool.end());
    const boss = new PgBoss({
      db: { executeSql: (text, values) => pool.query(text, values) },
      supervise: false,
      schedule: false,
    });
    const errors = [];
    boss.on('error', (error) => errors.push(error));
    await boss.start();
    t.after(() => boss.stop({ graceful: false, wait: false }));
    await boss.createQueue('mail');
    const done = [];
    await boss.work(
      'mail',
      { pollingIntervalSeconds: 0.5, batchSize: 50 },
      async (jobs) => void done.push(...jobs.map((job) => job.id)),
    );
    const sent = [];
    const failures = await through(
      () => rotations(() => rotateSingleUser(endpoint, 'boss', setPassword, BETWEEN_STEPS_MS)),
      async () => {
        sent.push(await boss.send('mail', { to: 'somebody' }));
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
    );
    assert.deepEqual([failures, errors], [[], []]);
    await eventually(() => done.length >= sent.length);
    assert.deepEqual(done.sort(), sent.sort());
  });
});

/** The same for MySQL and MariaDB. */
const ON_MYSQL = {
  TypeORM: async (cache, id, place) => {
    const source = new DataSource({ type: 'mariadb', ...place, driver: driver(cache, id), poolSize: 2 });
    await source.initialize();
    return [async () => (await source.query('select current_user() as name'))[0].name, () => source.destroy()];
  },
  Sequelize: async (cache, id, place) => {
    const settings = { dialect: 'mysql', ...place, logging: false, pool: { max: 2, maxUses: 5 } };
    const sequelize = new Sequelize({ ...settings, dialectModule: dialectModule(cache, id) });
    const query = () => sequelize.query('select current_user() as name', { type: QueryTypes.SELECT });
    return [async () => (await query())[0].name, () => sequelize.close()];
  },
  Kysely: async (cache, id, place) => {
    const { pool } = createMysqlPool(cache, id, { ...place, connectionLimit: 2 });
    const db = new Kysely({ dialect: new MysqlDialect({ pool }) });
    return [async () => (await sql`select current_user() as name`.execute(db)).rows[0].name, () => db.destroy()];
  },
  mysql2: async (cache, id, place) => {
    const pool = createMysqlPool(cache, id, { ...place, connectionLimit: 2 });
    const whoAmI = async (connection) => (await connection.query('select current_user() as name'))[0][0].name;
    return [withConnection(pool, whoAmI), () => pool.end()];
  },
  mariadb: async (cache, id, place) => {
    const pool = createMariadbPool(cache, id, { ...place, allowPublicKeyRetrieval: true, connectionLimit: 2 });
    const whoAmI = async (connection) => (await connection.query('select current_user() as name'))[0].name;
    return [withConnection(pool, whoAmI), () => pool.end()];
  },
  Prisma: async (cache, id, place) => {
    const pool = createMariadbPool(cache, id, { ...place, connectionLimit: 2 });
    const adapter = await new PrismaMariaDb(pool).connect();
    const query = { sql: 'select current_user() as name', args: [], argTypes: [] };
    return [async () => (await adapter.queryRaw(query)).rows[0][0], () => pool.end()];
  },
};
/** Returns a function that uses a pool's connection. Every fifth is destroyed, so that the pool keeps logging in. */
function withConnection(pool, work) {
  let uses = 0;
  return async () => {
    const connection = await pool.getConnection();
    try {
      return await work(connection);
    } finally {
      uses += 1;
      if (uses % 5 === 0) connection.destroy();
      else connection.release();
    }
  };
}

const SERVERS = { mariadb: ['TypeORM', 'Sequelize', 'Kysely', 'mariadb', 'Prisma'], mysql: ['mysql2', 'mariadb'] };

for (const [kind, programs] of Object.entries(SERVERS)) {
  describe(`on ${kind}`, () => {
    let endpoint;
    let server;
    let admin;
    before(async () => {
      [endpoint, server] = await Promise.all([Endpoint.start(), database(kind)]);
      const { host, port, user, password } = server;
      admin = await mysql.createConnection({ host, port, user, password });
      await admin.query('create database shop');
    });
    after(async () => {
      await admin?.end();
      await server?.close();
      await endpoint?.close();
    });

    const setPassword = async (user, password) => {
      await admin.query(`create user if not exists ${user}@'%'`);
      await admin.query(`grant all on *.* to ${user}@'%'`);
      await admin.query(`alter user ${user}@'%' identified by '${password}'`);
    };

    for (const [strategy, rotate] of Object.entries(STRATEGIES)) {
      for (const program of programs) {
        it(`${program} works through ${strategy}-user rotations without a failure`, async (t) => {
          const id = `${program}_${strategy}`.toLowerCase().replace('.', '');
          await setPassword(id, 'first');
          await endpoint.create(id, JSON.stringify({ username: id, password: 'first' }));
          const cache = new SecretCache({ ...endpoint.options, ...quick });
          t.after(() => cache.close());
          const [whoAmI, end] = await ON_MYSQL[program](cache, id, { host: server.host, port: server.port, database: 'shop' });
          t.after(end);
          let last;
          const failures = await through(
            async () => {
              last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1);
            },
            async () => assert.match(await whoAmI(), new RegExp(`^${id}`)),
          );
          assert.deepEqual(failures, []);
          await eventually(async () => (await whoAmI()) === `${last.username}@%`);
        });
      }
    }
  });
}
