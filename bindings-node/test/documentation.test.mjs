/** Runs the code in the READMEs, the book's pages for Node and the examples unchanged, except for the addresses of servers. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import pg from 'pg';

import { database } from './connected.mjs';
import { Endpoint, PACKAGE, ROOT, run } from './support.mjs';

/** Returns the JavaScript blocks of a document. */
const blocksOf = (path) => [...readFileSync(join(ROOT, path), 'utf8').matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]);

/** Returns the only JavaScript block that contains this text, in the package's README or another document. */
function block(holds, path = 'bindings-node/README.md') {
  const found = blocksOf(path).filter((text) => text.includes(holds));
  assert.equal(found.length, 1, `one block of ${path} holds ${holds}`);
  return found[0];
}

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

  const program = async (text, args = []) => {
    const all = ['--unhandled-rejections=strict', '--input-type=module', '-e', text, '--', ...args];
    const { status, stdout, stderr } = await run(all, { env: endpoint.environment });
    assert.deepEqual([status, stderr], [0, '']);
    return stdout;
  };
  const addressed = (text) => text.replaceAll(`host: 'db.internal'`, `host: '${server.host}', port: ${server.port}`);
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
});
