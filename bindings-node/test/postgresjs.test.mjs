/** postgres.js apart from rotations: over TLS, with md5, and refused logins. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { after, before, it } from 'node:test';

import pg from 'pg';
import { SecretCache } from 'secretcache';
import { createSql } from 'secretcache/postgres';

import { Endpoint, eventually, start } from './support.mjs';

let endpoint;
let server;
let admin;
let cache;
before(async () => {
  const stop = (child) => child.stdin.end();
  const [local, database] = await Promise.all([
    Endpoint.start(),
    start('secretcache-databases', ['postgres-15', '--tls'], stop),
  ]);
  endpoint = local;
  server = { ...JSON.parse(database.line), close: database.close };
  const { host, port, user, password } = server;
  admin = new pg.Client({ host, port, user, password, database: server.database });
  await admin.connect();
  cache = new SecretCache({ ...endpoint.options, logger: null });
});
after(async () => {
  await cache?.close();
  await admin?.end();
  await server?.close();
  await endpoint?.close();
});

/** Creates a user with a secret, and returns a function that makes clients for it. */
async function user(name, encryption = 'scram-sha-256') {
  await admin.query(`set password_encryption = '${encryption}'`);
  await admin.query(`create role ${name} login password 'secret'`);
  await endpoint.create(name, JSON.stringify({ username: name, password: 'secret' }));
  return (t, settings = {}) => {
    const sql = createSql(cache, name, {
      host: server.host,
      port: server.port,
      database: server.database,
      max: 2,
      ...settings,
    });
    t.after(() => sql.end());
    return sql;
  };
}

it('connects over TLS, and verifies the server', async (t) => {
  const make = await user('tls');
  const isEncrypted = async (sql) => (await sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`)[0].ssl;
  assert.equal(await isEncrypted(make(t, { ssl: { ca: readFileSync(server.ca_file) } })), true);
  assert.equal(await isEncrypted(make(t, { ssl: 'require' })), true);
  assert.equal(await isEncrypted(make(t)), false);
  await assert.rejects(isEncrypted(make(t, { ssl: 'verify-full' })), /self-signed|unable to (get|verify)/);
});

it('logs in to a server that still uses md5', async (t) => {
  const make = await user('hashed', 'md5');
  const [{ hba_file: file }] = (await admin.query('show hba_file')).rows;
  writeFileSync(file, `host all hashed 127.0.0.1/32 md5\n${readFileSync(file, 'utf8')}`);
  await admin.query('select pg_reload_conf()');
  const sql = make(t);
  await eventually(async () => (await sql`select current_user as name`.catch(() => [{}]))[0].name === 'hashed');
});

it('reports a server that speaks another protocol', async (t) => {
  const make = await user('abroad');
  for (const bytes of [
    [0x52, 0, 0, 0, 4],
    [0x52, 0, 0, 0, 0, 0x52],
  ]) {
    const stranger = createServer((socket) => socket.on('error', () => {}).write(Buffer.from(bytes)));
    await once(stranger.listen(0, '127.0.0.1'), 'listening');
    t.after(() => stranger.close());
    const sql = make(t, { host: '127.0.0.1', port: stranger.address().port });
    await assert.rejects(sql`select 1`, /too short for the protocol/);
  }
});

it('takes host and database from a URL, and defaults the database to the user name', async (t) => {
  const make = await user('named');
  await admin.query('create database named');
  const url = `postgres://${server.host}:${server.port}`;
  const place = { host: undefined, port: undefined, database: undefined };
  const names = async (sql) => Object.values((await sql`select current_user::text, current_database()::text`)[0]);
  assert.deepEqual(await names(make(t, { ...place, url })), ['named', 'named']);
  assert.deepEqual(await names(make(t, { ...place, url: `${url}/postgres` })), ['named', 'postgres']);
  assert.throws(() => make(t, { url: `postgres://app:pw@${server.host}/named` }), /remove the password from url/);
  assert.throws(() => make(t, { host: 'one,two' }), /connects to one host/);
});

it('cancels a query, and fails with LOGIN_REJECTED if no version logs in', async (t) => {
  const make = await user('refused');
  const sql = make(t);
  const query = sql`select pg_sleep(60)`;
  const cancelled = assert.rejects(query, { code: '57014' });
  setTimeout(() => query.cancel(), 200);
  await cancelled;
  await admin.query(`alter role refused password 'another'`);
  await assert.rejects(make(t, { connectTimeoutMs: 2000 })`select 1`, { code: 'LOGIN_REJECTED' });
});
