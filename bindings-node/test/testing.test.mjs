import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { ROOT, require } from './support.mjs';

const { LocalEndpoint, secretcacheLocal } = require('../lib/testing.js');
const { SecretCache } = require('../lib/index.js');

const command = join(ROOT, 'target', 'debug', 'secretcache');
const local = secretcacheLocal({ before, beforeEach, after }, { command });

async function create(name, value) {
  const response = await fetch(local().url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.CreateSecret' },
    body: JSON.stringify({ Name: name, SecretString: value, ClientRequestToken: crypto.randomUUID() }),
  });
  assert.equal(response.status, 200);
}

for (const round of [1, 2]) {
  test(`each test starts with a fresh endpoint (${round})`, async () => {
    assert.deepEqual(await local().secrets(), []);
    await create('db', 'one');
    const cache = new SecretCache({ logger: null });
    assert.equal(await cache.getSecretString('db'), 'one');
    await cache.close?.();
    const [secret] = await local().secrets();
    assert.equal(secret.name, 'db');
    assert.ok(!JSON.stringify(secret).includes('"one"'));
  });
}

test('faults and the clock', async () => {
  const id = await local().fault({ effect: 'deny', operations: ['GetSecretValue'] });
  await local().clearFaults(id);
  await local().freeze(new Date(1_900_000_000_000));
  await local().advance(5);
  await create('later', 'x');
  const [secret] = await local().secrets();
  assert.equal(secret.created, 1_900_000_005);
  await local().unfreeze();
  assert.deepEqual((await local().calls()).CreateSecret, { ok: 1 });
  await assert.rejects(local().nextRotation('later'), /no rotation/);
  assert.deepEqual(await local().events(), []);
});

test('requests to it bypass a proxy', async () => {
  process.env.no_proxy = 'internal.example';
  const { environment } = local();
  delete process.env.no_proxy;
  assert.equal(environment.NO_PROXY, 'internal.example,127.0.0.1');
  assert.equal(environment.no_proxy, environment.NO_PROXY);
});

test('with HTTPS, it trusts the given certificate', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'secretcache-tls-'));
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=local', '-out', certificate, '-keyout', key];
  execFileSync('openssl', made, { stdio: 'ignore' });
  const args = ['--tls-cert', certificate, `--tls-key=${key}`, '--region', 'eu-west-1'];
  const endpoint = await LocalEndpoint.start({ command, args });
  try {
    assert.match(endpoint.url, /^https:/);
    assert.deepEqual(await endpoint.secrets(), []);
    assert.equal(endpoint.environment.AWS_CA_BUNDLE, certificate);
    assert.equal(endpoint.environment.AWS_REGION, 'eu-west-1');
  } finally {
    await endpoint.close();
    rmSync(folder, { recursive: true });
  }
});

test('a missing command says what to do', async () => {
  await assert.rejects(LocalEndpoint.start({ command: '/nowhere/secretcache' }), /SECRETCACHE_BIN/);
});
