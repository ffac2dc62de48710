/** Clients that the program supplies: the AWS SDK's, mocked and real, and plain test doubles. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { mockClient } from 'aws-sdk-client-mock';
import { SecretCache, SecretCacheError } from 'secretcache';

import { Endpoint, eventually } from './support.mjs';

/** Creates a cache with a client, closed when the test ends. */
function cacheOf(t, client, options = {}) {
  const cache = new SecretCache({ client, logger: null, ...options });
  t.after(() => cache.close());
  return cache;
}

describe('client', () => {
  it('can be a mock from aws-sdk-client-mock', async (t) => {
    const mock = mockClient(SecretsManagerClient);
    t.after(() => mock.restore());
    mock.on(GetSecretValueCommand, { SecretId: 'db' }).resolves({ SecretString: 'mocked', VersionId: 'v1' });
    const cache = cacheOf(t, new SecretsManagerClient({ region: 'us-east-1' }));
    assert.equal(await cache.getSecretString('db'), 'mocked');
    assert.equal(await cache.getSecretString('db'), 'mocked');
    assert.equal(mock.commandCalls(GetSecretValueCommand).length, 1);
    assert.deepEqual(mock.commandCalls(GetSecretValueCommand)[0].args[0].input, { SecretId: 'db', VersionStage: 'AWSCURRENT' });
  });

  it('can implement only GetSecretValue, and refreshes still work', async (t) => {
    const mock = mockClient(SecretsManagerClient);
    t.after(() => mock.restore());
    mock
      .on(GetSecretValueCommand)
      .resolvesOnce({ SecretString: 'one', VersionId: 'v1' })
      .resolves({ SecretString: 'two', VersionId: 'v2' });
    const cache = cacheOf(t, new SecretsManagerClient({ region: 'us-east-1' }), { refreshIntervalMs: 100 });
    assert.equal(await cache.getSecretString('db'), 'one');
    await eventually(async () => (await cache.getSecretString('db')) === 'two');
    await eventually(async () => (await cache.getSecretString('db')) && mock.commandCalls(GetSecretValueCommand).length > 3);
    assert.equal(mock.commandCalls(DescribeSecretCommand).length, 1, 'called once, then never again');
  });

  it('fails with what the client threw as the cause', async (t) => {
    const mock = mockClient(SecretsManagerClient);
    t.after(() => mock.restore());
    const thrown = new ResourceNotFoundException({ message: 'none', $metadata: { httpStatusCode: 400, requestId: 'r-1' } });
    mock.on(GetSecretValueCommand).rejects(thrown);
    const cache = cacheOf(t, new SecretsManagerClient({ region: 'us-east-1' }));
    const error = await cache.getSecretString('db').catch((error) => error);
    assert.equal(error.code, 'SECRET_NOT_FOUND');
    assert.equal(error.cause, thrown);
    assert.deepEqual(error.$metadata, { httpStatusCode: 400, requestId: 'r-1' });
  });

  it('can throw or return anything', async (t) => {
    for (const thrown of [new TypeError('odd'), 'a string', undefined, null]) {
      const cache = cacheOf(t, {
        send: () => {
          throw thrown;
        },
      });
      const error = await cache.getSecretString('db').catch((error) => error);
      assert.equal(error.code, 'SOURCE');
      assert.equal(error.cause, thrown);
    }
    for (const answer of [undefined, null, 7]) {
      const cache = cacheOf(t, { send: async () => answer });
      await assert.rejects(cache.getSecretString('db'), { code: 'INVALID_RESPONSE' });
    }
    const cache = cacheOf(t, { send: async () => ({ VersionId: 'v1' }) });
    await assert.rejects(cache.getSecretString('db'), { code: 'INVALID_RESPONSE' });
  });

  it('is called on the JavaScript thread, and once for many readers', async (t) => {
    let calls = 0;
    const send = async () => {
      calls += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return { SecretBinary: new Uint8Array([1, 2]), VersionId: 'v1' };
    };
    const cache = cacheOf(t, { send });
    const all = await Promise.all(Array.from({ length: 1000 }, () => cache.getSecretBinary('db')));
    assert.deepEqual([...all[999]], [1, 2]);
    assert.equal(calls, 1);
  });

  it('can be the real SDK client', async (t) => {
    const endpoint = await Endpoint.start(t);
    await endpoint.create('db', 'one');
    const client = new SecretsManagerClient(endpoint.options);
    t.after(() => client.destroy());
    const cache = cacheOf(t, client, { refreshIntervalMs: 300 });
    assert.equal(await cache.getSecretString('db'), 'one');
    await endpoint.put('db', 'two');
    await eventually(async () => (await cache.getSecretString('db')) === 'two');
    const failed = await cache.prefetch(['db', 'missing']);
    assert.deepEqual([...failed.keys()], ['missing']);
    await assert.rejects(cache.getSecretString('missing'), {
      code: 'SECRET_NOT_FOUND',
      serviceCode: 'ResourceNotFoundException',
    });
  });
});

it('a failure has the same code, with and without a client', async (t) => {
  const endpoint = await Endpoint.start(t);
  await endpoint.create('db', 'one');
  await endpoint.create('deleted', 'one');
  await endpoint.call('DeleteSecret', { SecretId: 'deleted' });
  const client = new SecretsManagerClient(endpoint.options);
  t.after(() => client.destroy());
  const native = new SecretCache(endpoint.options);
  t.after(() => native.close());
  for (const [cache, isClients] of [
    [native, false],
    [cacheOf(t, client), true],
  ]) {
    for (const [id, versionStage, code, serviceCode] of [
      ['missing', undefined, 'SECRET_NOT_FOUND', 'ResourceNotFoundException'],
      ['db', 'MISSING', 'VERSION_NOT_FOUND', 'ResourceNotFoundException'],
      ['deleted', undefined, 'SECRET_DELETED', 'InvalidRequestException'],
    ]) {
      const error = await cache.getSecretString(id, { versionStage }).catch((error) => error);
      assert.ok(error instanceof SecretCacheError);
      assert.deepEqual([error.code, error.serviceCode], [code, serviceCode]);
      assert.equal(error.cause?.name, isClients ? serviceCode : undefined);
    }
  }
});

it('an error of a client is the service’s if it has the SDK’s $fault or HTTP status', async (t) => {
  const codeFor = async (more) => {
    const thrown = Object.assign(new Error('none'), { name: 'ResourceNotFoundException', ...more });
    const cache = cacheOf(t, { send: () => Promise.reject(thrown) });
    const error = await cache.getSecretString('db').catch((error) => error);
    assert.equal(error.cause, thrown);
    return error.code;
  };
  assert.equal(await codeFor({ $fault: 'client' }), 'SECRET_NOT_FOUND');
  assert.equal(await codeFor({ $metadata: { httpStatusCode: 400 } }), 'SECRET_NOT_FOUND');
  assert.equal(await codeFor({}), 'SOURCE');
});

it('N1: with staleOnDenied false, a deleted secret is not served forever', async (t) => {
  let isDeleted = false;
  const send = async (command) => {
    if (command.constructor.name === 'DescribeSecretCommand') {
      return { ARN: 'arn', VersionIdsToStages: { v1: ['AWSCURRENT'] }, ...(isDeleted ? { DeletedDate: new Date() } : {}) };
    }
    if (!isDeleted) return { ARN: 'arn', VersionId: 'v1', VersionStages: ['AWSCURRENT'], SecretString: 'value' };
    const message = "You can't perform this operation on the secret because it was marked for deletion.";
    throw Object.assign(new Error(message), {
      name: 'InvalidRequestException',
      $fault: 'client',
      $metadata: { httpStatusCode: 400 },
    });
  };
  const cache = new SecretCache({
    client: { send },
    staleOnDenied: false,
    refreshIntervalMs: 20,
    maxWaitMs: 500,
    logger: null,
  });
  t.after(() => cache.close());
  assert.equal(await cache.getSecretString('id'), 'value');
  isDeleted = true;
  await eventually(() =>
    cache.getSecretString('id').then(
      () => false,
      (error) => error.code === 'SECRET_DELETED',
    ),
  );
});
