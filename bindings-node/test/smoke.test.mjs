/** The minimum that must work on every release line of Node: load, read, connect, share with a worker, exit. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Endpoint, PACKAGE, run } from './support.mjs';

const PROGRAM = `
  import assert from 'node:assert/strict';
  import { once } from 'node:events';
  import { createRequire } from 'node:module';
  import { Worker } from 'node:worker_threads';
  import { SecretCache } from 'secretcache';
  import { createFetch } from 'secretcache/fetch';

  assert.equal(createRequire(process.cwd() + '/')('secretcache').SecretCache, SecretCache);
  assert.equal(typeof createFetch, 'function');
  const cache = new SecretCache();
  assert.equal((await cache.getSecretJson('db')).username, 'app');
  assert.equal(cache.peek('db'), await cache.getSecretString('db'));
  assert.equal(await cache.connect('db', async ({ username, password }) => username + ' ' + password), 'app secret');
  await assert.rejects(cache.getSecretString('none'), { code: 'SECRET_NOT_FOUND' });
  const worker = new Worker(
    "const { SecretCache } = require('secretcache'); const cache = new SecretCache();" +
      "cache.getSecretString('db').then((value) => require('node:worker_threads').parentPort.postMessage([value, cache.stats().apiCalls]))",
    { eval: true, execArgv: [] },
  );
  assert.deepEqual(await once(worker, 'message'), [[cache.peek('db'), cache.stats().apiCalls]]);
  await worker.terminate();
  console.log('ends by itself, the cache being open');
`;

it(`works on Node ${process.versions.node}`, async (t) => {
  const endpoint = await Endpoint.start(t);
  await endpoint.create('db', '{"username":"app","password":"secret"}');
  const env = { ...endpoint.environment, NODE_NO_WARNINGS: '1' };
  const { status, stdout, stderr } = await run(['--input-type=module', '-e', PROGRAM], { env, cwd: PACKAGE });
  assert.deepEqual([status, stderr, stdout], [0, '', 'ends by itself, the cache being open\n']);
});
