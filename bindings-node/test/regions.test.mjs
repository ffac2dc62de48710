/** Several Regions in one cache: replicas are read while a secret's own Region does not respond. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';

import { SecretCache } from 'secretcache';

import { Endpoint, eventually } from './support.mjs';

/** Starts an endpoint with the secret `db` in two Regions, and a cache for both. */
async function start(t, more = {}) {
  const endpoint = await Endpoint.start(t);
  const { ARN } = await endpoint.create('db', 'v1', { AddReplicaRegions: [{ Region: 'eu-west-1' }] });
  const spoil = (effect, region = 'us-east-1') =>
    endpoint.fault({
      operations: ['GetSecretValue', 'DescribeSecret'],
      secret_id: ARN.replace('us-east-1', region),
      effect,
    });
  const cache = new SecretCache({
    ...endpoint.options,
    fallbackRegions: ['eu-west-1'],
    fallbackAfterMs: 500,
    refreshIntervalMs: 300,
    ...more,
  });
  t.after(() => cache.close());
  return { endpoint, cache, spoil, ARN };
}

it('a replica is read only while the secret’s own Region hangs', async (t) => {
  const { endpoint, cache, spoil, ARN } = await start(t);
  await spoil('hang');
  const event = once(cache, 'replica');
  const { arn, secretString } = await cache.getSecretValue('db');
  assert.deepEqual([arn, secretString], [ARN, 'v1']);
  const [{ secretId, region, error }] = await event;
  assert.deepEqual([secretId, region, error.code], ['db', 'eu-west-1', 'TIMEOUT']);
  await endpoint.put('db', 'v2');
  await eventually(async () => (await cache.getSecretString('db')) === 'v2');
  assert.ok(cache.stats().replicaReads >= 2);
  await endpoint.restore();
  await eventually(async () => {
    await cache.getSecretString('db');
    return 'DescribeSecret' in cache.stats().apiCalls;
  });
});

it('a replica that lags behind does not bring back an old version', async (t) => {
  const { endpoint, cache, spoil } = await start(t);
  await endpoint.control('POST', 'clock', { advance_seconds: 3600 });
  await endpoint.put('db', 'v2');
  assert.equal(await cache.getSecretString('db'), 'v2');
  await spoil({ stale: { seconds: 1800 } }, 'eu-west-1');
  await spoil('throttle');
  await eventually(async () => {
    assert.equal(await cache.getSecretString('db'), 'v2');
    return Object.values(cache.stats().failures).reduce((sum, count) => sum + count, 0) >= 2;
  });
  assert.equal(cache.stats().replicaReads, 0);
});

it('a denied read does not fall back to a replica', async (t) => {
  const { cache, spoil } = await start(t);
  await spoil('deny');
  await assert.rejects(cache.getSecretString('db'), { code: 'ACCESS_DENIED' });
  assert.equal(cache.stats().replicaReads, 0);
});

it('creating a cache with an invalid Region fails', () => {
  const made = (fallbackRegions) => () => new SecretCache({ region: 'us-east-1', fallbackRegions });
  assert.throws(made(['Ireland']), { code: 'INVALID_CONFIGURATION', message: /"Ireland" is not a Region/ });
  assert.throws(made('eu-west-1'), /fallbackRegions must be an array/);
  const client = { send: () => assert.fail('asked') };
  const both = () => new SecretCache({ client, fallbackRegions: ['eu-west-1'] });
  assert.throws(both, /fallbackRegions cannot be combined with client/);
});
