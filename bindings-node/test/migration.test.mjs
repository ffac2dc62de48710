/** Habits from the AWS SDK, Powertools and other caches: they work, or the error says what to write instead. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { isRejectedLogin, SecretCache } from 'secretcache';
import { createFetch } from 'secretcache/fetch';

import { Endpoint, eventually } from './support.mjs';

describe('migration', () => {
  let endpoint;
  let cache;
  before(async () => {
    endpoint = await Endpoint.start();
    cache = new SecretCache(endpoint.options);
    await endpoint.create('db', JSON.stringify({ username: 'app', password: 'pw', port: 5432, tags: ['a'], nothing: null }));
    await endpoint.create('text', 'plain');
    await endpoint.create('bytes', Buffer.from([0, 255]));
  });
  after(async () => {
    await cache?.close();
    await endpoint?.close();
  });

  const OPTIONS = {
    VersionStage: /did you mean versionStage\?/,
    VersionId: /did you mean versionId\?/,
    version_stage: /did you mean versionStage\?/,
    versionStge: /did you mean versionStage\?/,
    maxAge: /did you mean maxAgeMs\? It is in milliseconds/,
    max_age: /maxAgeMs/,
    forceFetch: /maxAgeMs: 0/,
    transform: /getSecretJson or getSecretField/,
    sdkOptions: /versionStage or versionId/,
    abortSignal: /did you mean signal\?/,
    whatever: /the options are versionStage, versionId, maxAgeMs, signal/,
  };
  for (const [name, message] of Object.entries(OPTIONS)) {
    it(`N4: a read with ${name} says what to write`, async () => {
      for (const read of ['getSecretString', 'getSecretBinary', 'getSecretJson', 'getSecretValue']) {
        await assert.rejects(cache[read]('db', { [name]: 'x' }), { name: 'TypeError', message });
      }
      await assert.rejects(cache.getSecretField('db', 'password', { [name]: 'x' }), { name: 'TypeError', message });
    });
  }

  it('N4: connect and createFetch refuse unknown options', async () => {
    const refused = (options, message) =>
      assert.rejects(
        cache.connect('db', () => {}, options),
        { name: 'TypeError', message },
      );
    await refused({ connectTimeoutMs: 1 }, /did you mean timeoutMs\?/);
    await refused({ rejcted: () => true }, /did you mean rejected\?/);
    await refused({ VersionStage: 'AWSCURRENT' }, /did you mean stages/);
    assert.throws(() => createFetch(cache, 'db', () => {}, { rejectedStatus: [401] }), {
      name: 'TypeError',
      message: /did you mean rejectedStatuses\?/,
    });
  });

  it('N4: a command of the SDK instead of an id says so', async () => {
    await assert.rejects(cache.getSecretString({ SecretId: 'db' }), {
      name: 'TypeError',
      message: /pass the value of SecretId/,
    });
  });

  it('N12: the constructor suggests the right name for other libraries’ options', () => {
    for (const [name, meant] of Object.entries({
      useFipsEndpoint: 'useFips',
      cacheTtl: 'refreshIntervalMs',
      ttl: 'refreshIntervalMs',
      maxAge: 'refreshIntervalMs',
      regionName: 'region',
      endpointUrl: 'endpoint',
      refreshInterval: 'refreshIntervalMs',
      maxSizes: 'maxSize',
    })) {
      assert.throws(() => new SecretCache({ [name]: 1 }), {
        name: 'TypeError',
        message: new RegExp(`did you mean ${meant}\\?`),
      });
    }
  });

  it('N12: an error names the secret in its message and as a property', async () => {
    await assert.rejects(cache.getSecretString('missing'), {
      code: 'SECRET_NOT_FOUND',
      secretId: 'missing',
      message: /^secret "missing": /,
    });
    await assert.rejects(cache.getSecretJson('text'), { code: 'NOT_JSON', secretId: 'text', message: /"text"/ });
    const [[, error]] = await cache.prefetch(['gone']);
    assert.equal(error.secretId, 'gone');
    const failed = [];
    cache.on('refreshError', (event) => failed.push(event));
    await assert.rejects(cache.refreshSecretNow('absent'), { secretId: 'absent' });
    await eventually(() => failed.some(({ error }) => error.secretId === 'absent'));
  });

  it('N12: newVersion is emitted only for labels that the program reads', async (t) => {
    const own = new SecretCache({ ...endpoint.options, refreshIntervalMs: 100 });
    t.after(() => own.close());
    await endpoint.create('moves', JSON.stringify({ username: 'a', password: '1' }));
    await endpoint.put('moves', JSON.stringify({ username: 'a', password: '2' }));
    const stages = [];
    own.on('newVersion', (event) => stages.push(event.versionStage));
    const refusal = Object.assign(new Error('no'), { code: '28P01' });
    await assert.rejects(
      own.connect('moves', () => Promise.reject(refusal), { timeoutMs: 500 }),
      { code: 'LOGIN_REJECTED' },
    );
    await endpoint.put('moves', JSON.stringify({ username: 'a', password: '3' }));
    await own.connect('moves', () => 'in', { timeoutMs: 2000 }).catch(() => {});
    await eventually(async () => (await own.getSecretString('moves')).includes('3') && stages.includes('AWSCURRENT'));
    await own.refreshSecretNow('moves');
    assert.deepEqual(new Set(stages), new Set(['AWSCURRENT']));
    // Once the program reads a label, it is notified about it.
    await own.getSecretString('moves', { versionStage: 'AWSPREVIOUS' });
    await endpoint.put('moves', JSON.stringify({ username: 'a', password: '4' }));
    await eventually(async () => {
      await own.getSecretString('moves', { versionStage: 'AWSPREVIOUS' });
      return stages.includes('AWSPREVIOUS');
    });
  });

  it('reads many at once, with their values', async () => {
    await endpoint.control('DELETE', 'calls');
    const own = new SecretCache(endpoint.options);
    const secrets = await own.getSecrets(new Set(['text', 'bytes', 'db']));
    assert.deepEqual([...secrets.keys()], ['text', 'bytes', 'db']);
    assert.equal(secrets.get('text'), 'plain');
    assert.deepEqual([...secrets.get('bytes')], [0, 255]);
    assert.deepEqual(await endpoint.calls(), { BatchGetSecretValue: { ok: 1 } });
    await own.getSecrets(['text', 'db']);
    assert.deepEqual(await endpoint.calls(), { BatchGetSecretValue: { ok: 1 } });
    await assert.rejects(own.getSecrets(['text', 'missing']), { code: 'SECRET_NOT_FOUND', secretId: 'missing' });
    await assert.rejects(own.getSecrets('text'), { name: 'TypeError', message: /several secret ids.*one string/ });
    await own.close();
  });

  it('reads a field', async () => {
    assert.equal(await cache.getSecretField('db', 'password'), 'pw');
    assert.equal(await cache.getSecretField('db', 'port'), 5432);
    assert.equal(await cache.getSecretField('db', 'nothing'), null);
    assert.equal(await cache.getSecretField('db', 'username', { versionStage: 'AWSCURRENT' }), 'app');
  });

  it('names the fields that exist if one is missing', async () => {
    const message = 'secret "db" has no field "pasword"; its fields are username, password, port, tags, nothing';
    await assert.rejects(cache.getSecretField('db', 'pasword'), { code: 'FIELD_NOT_FOUND', secretId: 'db', message });
    await assert.rejects(cache.getSecretField('db', 'constructor'), { code: 'FIELD_NOT_FOUND' });
    await assert.rejects(cache.getSecretField('text', 'password'), { code: 'NOT_JSON' });
    await assert.rejects(cache.getSecretField('bytes', 'password'), { code: 'WRONG_TYPE' });
    const tags = await cache.getSecretField('db', 'tags');
    assert.throws(() => tags.push('b'), TypeError);
  });

  it('parses a version once for all reads of its fields', async (t) => {
    const parse = t.mock.method(JSON, 'parse');
    for (let each = 0; each < 100; each += 1) await cache.getSecretField('db', 'password');
    assert.ok(parse.mock.callCount() <= 1, `${parse.mock.callCount()} times`);
  });

  it('refreshes a value that is older than maxAgeMs', async () => {
    const own = new SecretCache(endpoint.options);
    await endpoint.create('aging', 'one');
    await own.getSecretString('aging');
    await endpoint.put('aging', 'two');
    assert.equal(await own.getSecretString('aging', { maxAgeMs: 60_000 }), 'one');
    assert.equal(await own.getSecretString('aging', { maxAgeMs: 0 }), 'two');
    await endpoint.fault({ secret_id: 'aging', effect: 'deny' });
    await assert.rejects(own.getSecretString('aging', { maxAgeMs: 0 }), { code: 'ACCESS_DENIED' });
    // A version never changes, so it has no age.
    const { versionId } = await own.getSecretValue('db');
    await own.getSecretValue('db', { versionId });
    await endpoint.fault({ secret_id: 'db', effect: 'deny' });
    assert.equal((await own.getSecretValue('db', { versionId, maxAgeMs: 0 })).versionId, versionId);
    await assert.rejects(own.getSecretString('aging', { maxAgeMs: '1h' }), {
      name: 'TypeError',
      message: /maxAgeMs must be a number of milliseconds/,
    });
    await endpoint.restore();
    await own.close();
  });
});

describe('isRejectedLogin', () => {
  const refusals = {
    'PgBouncer’s': Object.assign(new Error('SASL authentication failed'), { code: '08P01' }),
    'RDS Proxy’s': new Error('The password that was provided for the role app is wrong.'),
    'RDS Proxy’s, for another user': new Error(
      'This RDS proxy has no credentials for the role app_clone. Check the credentials.',
    ),
    'a driver’s that is the cause': new Error('cannot connect', { cause: Object.assign(new Error('no'), { code: '28P01' }) }),
    'Sequelize’s': Object.assign(new Error('no'), { parent: Object.assign(new Error('no'), { errno: 1045 }) }),
    'Redis’s': new Error('WRONGPASS invalid username-password pair or user is disabled.'),
    'an HTTP client’s': Object.assign(new Error('no'), { response: { status: 401 } }),
    'an HTTP client’s, with a code of its own': Object.assign(new Error('no'), { code: 'ERR_BAD_REQUEST', status: 401 }),
  };
  for (const [whose, error] of Object.entries(refusals)) {
    it(`N2: recognizes a refusal: ${whose}`, () => assert.ok(isRejectedLogin(error)));
  }

  it('N2: recognizes nothing else as one', () => {
    const circle = new Error('circle');
    circle.cause = circle;
    for (const error of [
      circle,
      new Error('database "shop" does not exist'),
      Object.assign(new Error('no'), { code: '08P01' }),
      Object.assign(new Error('password authentication failed'), { statusCode: 500 }),
      undefined,
      'WRONGPASS',
    ]) {
      assert.ok(!isRejectedLogin(error));
    }
  });
});
