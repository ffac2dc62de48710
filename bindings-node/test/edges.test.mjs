/** Edge cases: failed logins, the properties of errors, and the cost of evictions. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';

import { ERROR_CODES, LoginRejectedError, SecretCache, SecretCacheError } from 'secretcache';

import { eventually, PACKAGE, require } from './support.mjs';

/** Creates a cache with a test double that has a value for every id. The cache is closed when the test ends. */
function cacheOf(t, options = {}, description = undefined) {
  const send = async (command) => {
    const { input } = command;
    if (command.constructor.name === 'DescribeSecretCommand' && description !== undefined) return description;
    if ((input.VersionStage ?? 'AWSCURRENT') !== 'AWSCURRENT') {
      const message = "Secrets Manager can't find the specified secret value for staging label";
      throw Object.assign(new Error(message), { name: 'ResourceNotFoundException', $fault: 'client', $metadata: {} });
    }
    return { ARN: `arn:${input.SecretId}`, VersionId: 'v1', VersionStages: ['AWSCURRENT'], SecretString: '{"username":"app"}' };
  };
  const cache = new SecretCache({ client: { send }, logger: null, ...options });
  t.after(() => cache.close());
  return cache;
}

it('N7: if no version logs in, every connect fails with LOGIN_REJECTED and the versions tried', async (t) => {
  const cache = cacheOf(t);
  await cache.getSecretString('db');
  const refuse = () => Promise.reject(Object.assign(new Error('password authentication failed'), { code: '28P01' }));
  for (let call = 1; call <= 4; call += 1) {
    const error = await cache.connect('db', refuse, { timeoutMs: 300 }).catch((error) => error);
    assert.ok(error instanceof LoginRejectedError, `call ${call}: ${error}`);
    assert.deepEqual([error.code, error.secretId, error.retryable], ['LOGIN_REJECTED', 'db', true]);
    assert.deepEqual(
      error.tried.map(({ versionStage, versionId }) => [versionStage, versionId]),
      [['AWSCURRENT', 'v1']],
    );
    assert.match(error.message, /every version of secret "db" was refused \(AWSCURRENT v1/);
    if (error.tried[0].times > 0) assert.equal(error.cause.code, '28P01');
  }
});

it('N7: a login that does not finish is a TIMEOUT, and an unreadable secret fails with the reason', async (t) => {
  const cache = cacheOf(t);
  const error = await cache.connect('db', () => new Promise(() => {}), { timeoutMs: 100 }).catch((error) => error);
  assert.deepEqual([error.code, error.retryable, error.secretId], ['TIMEOUT', true, 'db']);
  assert.match(error.message, /the login with version v1 of secret "db" did not finish in time/);
  const thrown = Object.assign(new Error('not yours'), { name: 'AccessDeniedException', $fault: 'client', $metadata: {} });
  const denied = new SecretCache({ client: { send: () => Promise.reject(thrown) }, logger: null });
  t.after(() => denied.close());
  await assert.rejects(
    denied.connect('db', () => 1, { timeoutMs: 200 }),
    {
      code: 'ACCESS_DENIED',
      serviceCode: 'AccessDeniedException',
      cause: thrown,
    },
  );
});

it('N13: retryable says whether reading again can succeed soon', () => {
  const soon = [
    'THROTTLED',
    'SERVICE_UNAVAILABLE',
    'CONNECTION',
    'TIMEOUT',
    'INVALID_RESPONSE',
    'SOURCE',
    'RESOURCE_EXHAUSTED',
    'TLS',
  ];
  const retryable = ERROR_CODES.filter((code) => new SecretCacheError(code, 'text').retryable);
  assert.deepEqual(retryable.sort(), soon.sort());
});

it('N1: all that a client’s DescribeSecret says about rotation and deletion reaches the core', async (t) => {
  const { prototype } = require('../lib/native.js').native.NativeCache;
  const { answerDescription } = prototype;
  const received = new Promise((resolve) => {
    prototype.answerDescription = function (number, description) {
      resolve(description);
      return Reflect.apply(answerDescription, this, [number, description]);
    };
  });
  t.after(() => {
    prototype.answerDescription = answerDescription;
  });
  const [next, last] = [new Date(Date.now() + 60_000), new Date(Date.now() - 86_400_000)];
  const cache = cacheOf(
    t,
    { refreshIntervalMs: 20 },
    {
      ARN: 'arn:db',
      VersionIdsToStages: { v1: ['AWSCURRENT'] },
      RotationEnabled: true,
      NextRotationDate: next,
      LastRotatedDate: last,
      RotationRules: { ScheduleExpression: 'rate(1 day)', Duration: '4h' },
    },
  );
  await eventually(async () => (await cache.getSecretString('db')) && Object.hasOwn(cache.stats().apiCalls, 'DescribeSecret'));
  assert.deepEqual(await received, {
    arn: 'arn:db',
    versionIds: ['v1'],
    versionStages: [['AWSCURRENT']],
    isDeleted: false,
    rotationEnabled: true,
    nextRotationMs: next.getTime(),
    lastRotatedMs: last.getTime(),
    scheduleExpression: 'rate(1 day)',
    duration: '4h',
  });
});

it('N14: an eviction invalidates only its own entry', async (t) => {
  const kept = 200;
  const cache = cacheOf(t, { maxSize: 2 * kept });
  const ids = Array.from({ length: kept }, (_, index) => `kept-${index}`);
  for (const id of ids) await cache.getSecretString(id);
  for (const id of ids) await cache.getSecretString(id);
  cache.stats();
  const { prototype } = require('../lib/native.js').native.NativeCache;
  const { read } = prototype;
  let asked = 0;
  prototype.read = function (number, id, ...which) {
    if (id.startsWith('kept')) asked += 1;
    return Reflect.apply(read, this, [number, id, ...which]);
  };
  t.after(() => {
    prototype.read = read;
  });
  for (let each = 0; each < 5 * kept; each += 1) {
    await cache.getSecretString(`passing-${each}`);
    for (const id of ids.slice(0, 20)) await cache.getSecretString(id);
  }
  const { evictions } = cache.stats();
  assert.ok(evictions > 3 * kept, `${evictions} evictions`);
  // There are 4096 counters: the chance that an eviction also invalidates one of the 20 entries is 20 in 4096.
  assert.ok(asked < evictions / 20, `${asked} of 20,000 reads asked the core again, ${evictions} evictions`);
});

it('N8: programs compile against the published types, without skipLibCheck', () => {
  execFileSync(process.execPath, [`${PACKAGE}/node_modules/typescript/bin/tsc`, '-p', 'test/typing'], { cwd: PACKAGE });
});
