/**
 * Checks that the installed module works on this platform, without our own test server: it loads, sends requests over its
 * own transport, reads through a client, connects, and lets the process exit.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { SecretCache } from 'secretcache';

const answer = { ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:db-abcdef', Name: 'db', VersionId: 'v'.repeat(32) };
const secret = { ...answer, VersionStages: ['AWSCURRENT'], SecretString: '{"username":"app","password":"secret"}' };
const server = createServer((_, response) => response.end(JSON.stringify({ ...secret, CreatedDate: 1 }))).listen(
  0,
  '127.0.0.1',
);
await once(server, 'listening');
const endpoint = `http://127.0.0.1:${server.address().port}`;
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'any' };

for (const options of [{ endpoint, credentials, region: 'us-east-1' }, { client: { send: async () => secret } }]) {
  const cache = new SecretCache(options);
  assert.equal(await cache.getSecretField('db', 'username'), 'app');
  assert.equal(await cache.connect('db', ({ username, password }) => `${username} ${password}`), 'app secret');
  await cache.close();
}
server.close();
console.log(`secretcache works on ${process.platform} ${process.arch}, Node ${process.versions.node}`);
