/**
 * Runs the JavaScript of the READMEs and of the book, and the examples, unchanged except for the addresses of servers. Stand-ins
 * take the place of the drivers that are not installed (oracledb, mssql) and of the program's own functions.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import mariadb from 'mariadb';
import pg from 'pg';

import { database } from './connected.mjs';
import { Endpoint, PACKAGE, ROOT, run } from './support.mjs';

/** Returns the JavaScript blocks of a document. */
const blocksOf = (path) => [...readFileSync(join(ROOT, path), 'utf8').matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]);

/** The blocks that a test has asked for. */
const used = new Set();

/** Returns the only JavaScript block that contains this text, in the package's README or another document. */
function block(holds, path = 'bindings-node/README.md') {
  const found = blocksOf(path).filter((text) => text.includes(holds));
  assert.equal(found.length, 1, `one block of ${path} holds ${holds}`);
  used.add(found[0]);
  return found[0];
}

/** The documents whose blocks all have a test here. */
const PAGES = [
  'README.md',
  'bindings-node/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true })
    .filter((name) => name.endsWith('.md') && name !== 'local-endpoint.md')
    .map((name) => join('docs', name)),
];

describe('the documentation', () => {
  let endpoint;
  let server;
  before(async () => {
    [endpoint, server] = await Promise.all([Endpoint.start(), database('postgres-15')]);
    const admin = new pg.Client(server);
    await admin.connect();
    await admin.query(`create role app login password 'secret'`);
    await admin.query('create database checkout');
    await admin.end();
    await endpoint.create('prod/checkout/db', JSON.stringify({ username: 'app', password: 'secret', host: server.host }));
    await endpoint.create('prod/payments/key', JSON.stringify({ apiKey: 'k-1' }));
  });
  after(async () => {
    await server?.close();
    await endpoint?.close();
  });

  const program = async (text, env = {}) => {
    const all = ['--unhandled-rejections=strict', '--input-type=module', '-e', text];
    const { status, stdout, stderr } = await run(all, { env: { ...endpoint.environment, ...env } });
    assert.deepEqual([status, stderr], [0, ''], stdout);
    return stdout;
  };
  const addressed = (text, { host, port } = server) =>
    text.replaceAll(/host: '(db|redis)\.internal'/g, `host: '${host}', port: ${port}`);
  const CACHE = `import { SecretCache } from 'secretcache';\nconst cache = new SecretCache();\n`;

  it('starts with a program that reads', async () => {
    const text = block('getSecretJson').replace('eu-central-1', 'us-east-1');
    const stdout = await program(`${text}\nconsole.log(username, password);`);
    assert.equal(stdout, 'app secret\n');
  });

  it('has a pool', async () => {
    const text = addressed(block('secretcache/pg'));
    const stdout = await program(`${CACHE}${text}\nconsole.log(rows.length);\nawait pool.end();`);
    assert.equal(stdout, '1\n');
  });

  it('has knex and Redis', async () => {
    const text = addressed(block('secretcache/knex'));
    const stdout = await program(
      `${CACHE}${text}\nconsole.log((await knex.raw('select current_user as name')).rows[0].name, redis.isOpen);\nawait knex.destroy();`,
    );
    assert.equal(stdout, 'app false\n');
  });

  it('connects any driver', async () => {
    const driver = `const mariadb = { createConnection: async (settings) => settings };\n`;
    const stdout = await program(`${CACHE}${driver}${block('mariadb.createConnection')}\nconsole.log(connection.user);`);
    assert.equal(stdout, 'app\n');
  });

  it('sends an API key', async (t) => {
    const payments = createServer((request, response) => response.end(`${request.headers.authorization} ${request.url}`));
    payments.listen(0, '127.0.0.1');
    await once(payments, 'listening');
    t.after(() => payments.close());
    const text = block('createFetch').replace('https://payments.example', `http://127.0.0.1:${payments.address().port}`);
    const stdout = await program(`${CACHE}const body = 'charge';\n${text}\nconsole.log(await response.text());`);
    assert.equal(stdout, 'Bearer k-1 /v1/charges\n');
  });

  for (const path of ['README.md', 'docs/getting-started/node.md']) {
    it(`reads and has a pool in ${path}`, async () => {
      const read = block('getSecretJson', path);
      const text = addressed(block('secretcache/pg', path).replace('// also mysql2, redis, knex, fetch', ''));
      const query = text.includes('rows') ? '' : "const { rows } = await pool.query('select now()');";
      const stdout = await program(`${read}\n${text}\n${query}\nconsole.log(rows.length);\nawait pool.end();`);
      assert.equal(stdout, '1\n');
    });
  }

  it('connects any driver in docs/getting-started/node.md', async () => {
    const driver = `const mariadb = { createConnection: async (settings) => settings };\n`;
    const text = block('mariadb.createConnection', 'docs/getting-started/node.md');
    const stdout = await program(`${CACHE}${driver}${text}\nconsole.log(connection.user);`);
    assert.equal(stdout, 'app\n');
  });

  it('catches a missing secret on every transport in docs/getting-started/node.md', async () => {
    const text = block('SECRET_NOT_FOUND', 'docs/getting-started/node.md');
    // The SDK warns on versions of Node that it will drop.
    const sdk = `import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';\nprocess.removeAllListeners('warning');\n`;
    const withClient = CACHE.replace('SecretCache()', 'SecretCache({ client: new SecretsManagerClient() })');
    for (const cache of [CACHE, `${sdk}${withClient}`]) {
      assert.match(await program(`${cache}${text}`), /^secret "prod\/typo": .*ResourceNotFoundException/);
    }
  });

  it('connects the programs of docs/staying-connected-node.md', async () => {
    const page = 'docs/staying-connected-node.md';
    const select = 'select current_user as name';
    const typeorm = `await source.initialize();\nconsole.log((await source.query('${select}'))[0].name);\nawait source.destroy();`;
    const sequelize = `console.log((await sequelize.query('${select}'))[0][0].name);\nawait sequelize.close();`;
    const postgres = `console.log(rows.length);\nawait sql.end();`;
    for (const [holds, more, expected] of [
      ['secretcache/typeorm', typeorm, 'app\n'],
      ['secretcache/sequelize', sequelize, 'app\n'],
      ['secretcache/postgres', postgres, '1\n'],
    ]) {
      const text = addressed(block(holds, page));
      const quiet = text.replace("dialect: 'postgres',", "dialect: 'postgres', logging: false,");
      assert.equal(await program(`${CACHE}${quiet}\n${more}`), expected);
    }
    const imports = `
      import { MikroORM } from '@mikro-orm/postgresql';
      import { drizzle } from 'drizzle-orm/node-postgres';
      import { Kysely, PostgresDialect } from 'kysely';
      import { PrismaPg } from '@prisma/adapter-pg';
      import PgBoss from 'pg-boss';
      class PrismaClient { constructor(options) { Object.assign(this, options); } }
      const entities = [new (await import('@mikro-orm/core')).EntitySchema({ name: 'Thing', properties: { id: { type: 'number', primary: true } } })];`;
    const orms = addressed(block('new PrismaPg', page));
    const checks = `
      console.log((await db.execute('${select}')).rows[0].name, (await orm.em.getConnection().execute('${select}'))[0].name);
      console.log(typeof kysely.selectFrom, typeof boss.send, typeof (await prisma.adapter.connect()).queryRaw);
      await orm.close();`;
    assert.equal(await program(`${imports}\n${CACHE}${orms}\n${checks}`), 'app app\nfunction function function\n');
  });

  it('connects Prisma to MariaDB', async (t) => {
    const maria = await database('mariadb');
    t.after(() => maria.close());
    const { host, port, user, password } = maria;
    const admin = await mariadb.createConnection({ host, port, user, password });
    await admin.query('create database checkout');
    await admin.query("create user app@'%' identified by 'secret'");
    await admin.query("grant all on checkout.* to app@'%'");
    await admin.end();
    const text = addressed(block('PrismaMariaDb', 'docs/staying-connected-node.md'), maria);
    const imports = `import { PrismaMariaDb } from '@prisma/adapter-mariadb';
      class PrismaClient { constructor(options) { Object.assign(this, options); } }\n`;
    const check = `
      const adapter = await prisma.adapter.connect();
      console.log((await adapter.queryRaw({ sql: 'select current_user()', args: [], argTypes: [] })).rows[0][0]);
      await pool.end();`;
    assert.equal(await program(`${imports}${CACHE}${text}\n${check}`), 'app@%\n');
  });

  it('falls back to the pending version with drivers that have no pool of ours', async () => {
    const page = 'docs/staying-connected-node.md';
    for (const id of ['prod/reports/db', 'prod/billing/db']) {
      await endpoint.create(id, JSON.stringify({ username: 'app', password: 'old' }));
      await endpoint.put(id, JSON.stringify({ username: 'app', password: 'new' }), ['AWSPENDING']);
    }
    const quiet = CACHE.replace('SecretCache()', 'SecretCache({ logger: null })');
    const logIn = (error) => `const logIn = async (settings) => {
      if (settings.password === 'old') throw Object.assign(new Error('refused'), ${error});
      return settings;
    };\n`;
    const oracledb = `${logIn('{ errorNum: 1017 }')}const oracledb = { getConnection: logIn };\nconst connectString = 'reports';\n`;
    const reports = `${quiet}${oracledb}${block('oracledb', page)}\nconst { user, password } = await connect();`;
    assert.equal(await program(`${reports}\nconsole.log(user, password);`), 'app new\n');
    const mssql = `${logIn("{ code: 'ELOGIN' }")}const sql = {
      ConnectionPool: class { constructor(settings) { this.connect = () => logIn(settings); } },
    };\n`;
    const billing = `${quiet}${mssql}${block('sql.ConnectionPool', page)}`;
    assert.equal(await program(`${billing}\nconsole.log(pool.user, pool.password);`), 'app new\n');
  });

  it('runs jobs of BullMQ', async (t) => {
    const redis = await database('redis');
    t.after(() => redis.close());
    await endpoint.create('prod/jobs/redis', JSON.stringify({ username: redis.user, password: redis.password }));
    const text = addressed(block('bullmq', 'docs/staying-connected-node.md'), redis);
    const send = `const send = async ({ to }) => \`sent to \${to}\`;\n`;
    const more = `
      const sent = new Promise((resolve) => worker.on('completed', (job, result) => resolve(result)));
      await queue.add('welcome', { to: 'ann' });
      console.log(await sent);
      await worker.close();
      await queue.close();
      connection.disconnect();`;
    assert.equal(await program(`${CACHE}${send}${text}\n${more}`), 'sent to ann\n');
  });

  it('injects into NestJS and hands secrets to middy', async () => {
    const page = 'docs/staying-connected-node.md';
    const nest = `
      import 'reflect-metadata';
      import { Module } from '@nestjs/common';
      import { NestFactory } from '@nestjs/core';
      import { SecretCache } from 'secretcache';
      class AppModule {}
      ${block('secretcache/nestjs', page).replace('eu-central-1', 'us-east-1')}
      const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
      console.log(await app.get(SecretCache).getSecretString('prod/payments/key'));
      await app.close();`;
    assert.equal(await program(nest), '{"apiKey":"k-1"}\n');
    const middy = `${CACHE}import middy from '@middy/core';
      const charge = (event, key) => \`\${event.amount} with \${key}\`;
      ${block('secretcache/middy', page)}
      console.log(await handler({ amount: 3 }, {}));`;
    assert.equal(await program(middy), '3 with k-1\n');
  });

  it('has a test for node:test in docs/local-endpoint.md', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const seed = join(folder, 'secrets.toml');
    writeFileSync(seed, '[[secrets]]\nname = "seeded"\nstring = "one"\n');
    const text = block('secretcacheLocal(', 'docs/local-endpoint.md').replace('test/secrets.toml', seed);
    const command = join(ROOT, 'target', 'debug', 'secretcache');
    const stdout = await program(text, { SECRETCACHE_BIN: command, NODE_TEST_CONTEXT: '' });
    assert.match(stdout, /pass 1\b/);
  });

  it('imports only entry points that the package has', () => {
    const { exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
    const text = ['docs/staying-connected-node.md', 'README.md', 'bindings-node/README.md'].flatMap(blocksOf).join('');
    for (const [, entry] of text.matchAll(/'secretcache\/([a-z0-9]+)'/g)) assert.ok(exports[`./${entry}`], entry);
  });

  it('has examples', async () => {
    const example = async (name, ...args) => {
      const { status, stdout, stderr } = await run([join('examples', name), ...args], { env: endpoint.environment });
      assert.deepEqual([status, stderr], [0, '']);
      return stdout;
    };
    assert.match(
      await example('read.mjs', 'prod/checkout/db'),
      /^999 reads from memory, calls to the service: {"GetSecretValue":1}\n$/,
    );
    assert.equal(await example('pool.mjs', 'prod/checkout/db', server.host, server.port, 'checkout'), 'connected as app\n');
    const handled = await program(`import { handler } from './examples/lambda.mjs';\nconsole.log((await handler()).body);`);
    assert.equal(handled, 'hello, app\n');
  });

  // The last test, because it needs what the others have used.
  it('has no block without a test', () => {
    const missed = PAGES.flatMap((path) =>
      blocksOf(path)
        .filter((text) => !used.has(text))
        .map((text) => `${path}:\n${text}`),
    );
    assert.deepEqual(missed, []);
  });
});
