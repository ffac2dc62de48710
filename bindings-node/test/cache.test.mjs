/** Reads, versions, errors, options: the package over its own transport, against a real endpoint. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';

import * as imported from 'secretcache';
import { ERROR_CODES, SecretCache, SecretCacheError } from 'secretcache';

import { Endpoint, eventually, require } from './support.mjs';

describe('SecretCache', () => {
  let endpoint;
  before(async () => {
    endpoint = await Endpoint.start();
    await endpoint.create('db', '{"username":"app","password":"hunter2-canary"}');
    await endpoint.create('text', 'hunter2-canary');
    await endpoint.create('bytes', [0, 255, 7]);
  });
  after(() => endpoint.close());

  const withCache = async (use, options = {}) => {
    const cache = new SecretCache({ ...endpoint.options, ...options });
    try {
      return await use(cache);
    } finally {
      await cache[Symbol.asyncDispose]();
    }
  };

  it('is the same module for import and require', () => {
    const required = require('secretcache');
    assert.equal(required.SecretCache, imported.SecretCache);
    const names = (all) =>
      Object.keys(all)
        .filter((name) => !['default', 'module.exports', '__esModule'].includes(name))
        .sort();
    assert.deepEqual(names(required), names(imported));
  });

  it('reads strings, JSON, bytes and whole versions', () =>
    withCache(async (cache) => {
      assert.equal(await cache.getSecretString('text'), 'hunter2-canary');
      assert.equal((await cache.getSecretJson('db')).username, 'app');
      assert.deepEqual([...(await cache.getSecretBinary('bytes'))], [0, 255, 7]);
      const value = await cache.getSecretValue('db');
      assert.deepEqual(value.versionStages, ['AWSCURRENT']);
      assert.equal(value.name, 'db');
      assert.match(value.arn, /^arn:aws:secretsmanager:/);
      assert.ok(value.createdDate instanceof Date);
    }));

  it('returns bytes and JSON that the caller may change', () =>
    withCache(async (cache) => {
      (await cache.getSecretBinary('bytes')).fill(1);
      (await cache.getSecretJson('db')).username = 'mallory';
      assert.deepEqual([...(await cache.getSecretBinary('bytes'))], [0, 255, 7]);
      assert.equal((await cache.getSecretJson('db')).username, 'app');
    }));

  it('answers hits without a request, and counts them', () =>
    withCache(async (cache) => {
      await cache.getSecretString('text');
      const before = await endpoint.calls();
      for (let read = 0; read < 1000; read += 1) await cache.getSecretString('text');
      assert.deepEqual(await endpoint.calls(), before);
      assert.equal(cache.stats().hits, 1000);
      assert.equal(cache.stats().missesAbsent, 1);
    }));

  it('peeks without waiting', () =>
    withCache(async (cache) => {
      assert.equal(cache.peek('text'), undefined);
      await cache.getSecretString('text');
      assert.equal(cache.peek('text'), 'hunter2-canary');
      await cache.getSecretBinary('bytes');
      assert.deepEqual([...cache.peek('bytes')], [0, 255, 7]);
    }));

  it('makes one call for ten thousand concurrent first reads', () =>
    withCache(async (cache) => {
      await endpoint.control('DELETE', 'calls');
      const reads = Array.from({ length: 10_000 }, () => cache.getSecretString('text'));
      assert.deepEqual(new Set(await Promise.all(reads)), new Set(['hunter2-canary']));
      assert.deepEqual(await endpoint.calls(), { GetSecretValue: { ok: 1 } });
    }));

  it('keeps versions apart', () =>
    withCache(async (cache) => {
      const first = (await endpoint.create('versions', 'one')).VersionId;
      const second = (await endpoint.put('versions', 'two', ['AWSPENDING'])).VersionId;
      assert.equal(await cache.getSecretString('versions'), 'one');
      assert.equal(await cache.getSecretString('versions', { versionStage: 'AWSPENDING' }), 'two');
      assert.equal(await cache.getSecretString('versions', { versionId: second }), 'two');
      assert.equal(await cache.getSecretString('versions', { versionId: first }), 'one');
      assert.equal(await cache.getSecretString('versions', { versionStage: 'AWSCURRENT' }), 'one');
      await assert.rejects(cache.getSecretString('versions', { versionStage: 'NONE' }), { code: 'VERSION_NOT_FOUND' });
    }));

  it('has the new version after a forced refresh, and emits newVersion', () =>
    withCache(async (cache) => {
      const { VersionId: old } = await endpoint.create('moving', 'one');
      const received = [];
      cache.on('newVersion', (event) => received.push([event, cache.peek('moving')]));
      await cache.getSecretString('moving');
      const { VersionId: next } = await endpoint.put('moving', 'two');
      assert.equal(await cache.getSecretString('moving'), 'one');
      await cache.refreshSecretNow('moving');
      assert.equal(await cache.getSecretString('moving'), 'two');
      await eventually(() => received.length > 0);
      assert.deepEqual(received, [
        [{ secretId: 'moving', versionStage: 'AWSCURRENT', oldVersionId: old, newVersionId: next }, 'two'],
      ]);
    }));

  it('sees a value that was overwritten in place', () =>
    withCache(async (cache) => {
      await endpoint.create('again', 'one');
      await cache.getSecretString('again');
      await endpoint.call('DeleteSecret', { SecretId: 'again', ForceDeleteWithoutRecovery: true });
      await endpoint.create('again', 'two');
      cache.invalidate('again');
      assert.equal(await cache.getSecretString('again'), 'two');
    }));

  it('does not join a read from before an invalidation', () =>
    withCache(async (cache) => {
      await endpoint.create('race', 'one');
      await endpoint.fault({ operations: ['GetSecretValue'], secret_id: 'race', times: 1, delay_ms: 300 });
      const before = cache.getSecretString('race');
      cache.invalidate('race');
      const after = cache.getSecretString('race');
      assert.notEqual(before, after);
      assert.deepEqual(await Promise.all([before, after]), ['one', 'one']);
      await endpoint.restore();
    }));

  it('prefetches in batches, and returns what failed', () =>
    withCache(async (cache) => {
      const ids = Array.from({ length: 45 }, (_, number) => `many/${number}`);
      for (const id of ids) await endpoint.create(id, id);
      await endpoint.control('DELETE', 'calls');
      const failed = await cache.prefetch([...ids, 'missing']);
      assert.deepEqual([...failed.keys()], ['missing']);
      assert.equal(failed.get('missing').code, 'SECRET_NOT_FOUND');
      assert.equal((await endpoint.calls()).BatchGetSecretValue.ok, 3);
      assert.equal(await cache.getSecretString('many/44'), 'many/44');
      await assert.rejects(cache.prefetch('one'), TypeError);
    }));

  it('stops waiting when its signal is aborted, while others keep waiting', () =>
    withCache(async (cache) => {
      await endpoint.create('slow', 'here');
      await endpoint.fault({ operations: ['GetSecretValue'], secret_id: 'slow', times: 1, delay_ms: 300 });
      const controller = new AbortController();
      const aborted = cache.getSecretString('slow', { signal: controller.signal });
      const other = cache.getSecretString('slow');
      controller.abort(new Error('enough'));
      await assert.rejects(aborted, { message: 'enough' });
      assert.equal(await other, 'here');
      await assert.rejects(cache.getSecretString('slow', { signal: AbortSignal.abort() }), { name: 'AbortError' });
      await endpoint.restore();
    }));

  it('serves the last known value through an outage, and emits events', () =>
    withCache(
      async (cache) => {
        await endpoint.create('outage', 'known');
        const events = [];
        for (const name of ['stale', 'refreshError']) cache.on(name, (event) => events.push([name, event]));
        await cache.getSecretString('outage');
        await endpoint.fault({ secret_id: 'outage', effect: 'deny' });
        await eventually(async () => {
          assert.equal(await cache.getSecretString('outage'), 'known');
          return ['stale', 'refreshError'].every((wanted) => events.some(([name]) => name === wanted));
        });
        const [, event] = events.find(([name]) => name === 'refreshError');
        assert.equal(event.error.code, 'ACCESS_DENIED');
        assert.ok(cache.stats().staleServed > 0);
        assert.ok(cache.stats().failures.ACCESS_DENIED > 0);
        await endpoint.restore();
      },
      { refreshIntervalMs: 200, maxWaitMs: 100 },
    ));

  it('refreshes a secret in use in the background, counting hits in JavaScript', () =>
    withCache(
      async (cache) => {
        await endpoint.create('used', 'one');
        await cache.getSecretString('used');
        await endpoint.put('used', 'two');
        await eventually(async () => (await cache.getSecretString('used')) === 'two');
        assert.equal(cache.stats().missesExpired, 0);
      },
      { refreshIntervalMs: 400 },
    ));

  it('keeps a watched secret fresh without reads', () =>
    withCache(
      async (cache) => {
        await endpoint.create('watched', 'one');
        const watch = cache.watch('watched');
        await cache.getSecretString('watched');
        const event = new Promise((resolve) => cache.once('newVersion', resolve));
        await endpoint.put('watched', 'two');
        assert.equal((await event).secretId, 'watched');
        watch.close();
      },
      { refreshIntervalMs: 200 },
    ));

  it('asks the service on every read if the interval is 0', () =>
    withCache(
      async (cache) => {
        await endpoint.create('always', 'one');
        assert.equal(await cache.getSecretString('always'), 'one');
        await endpoint.put('always', 'two');
        assert.equal(await cache.getSecretString('always'), 'two');
      },
      { refreshIntervalMs: 0 },
    ));

  it('refuses reads once it is closed', async () => {
    const cache = new SecretCache(endpoint.options);
    await cache.getSecretString('text');
    await cache.close();
    await assert.rejects(cache.getSecretString('text'), { code: 'CLOSED' });
    assert.equal(cache.peek('text'), undefined);
    await cache.close();
  });

  it('does not close another cache with the same settings', async () => {
    const [one, other] = [new SecretCache(endpoint.options), new SecretCache(endpoint.options)];
    await Promise.all([one.getSecretString('text'), other.getSecretString('text')]);
    await one.close();
    assert.equal(await other.getSecretString('text'), 'hunter2-canary');
    await other.close();
  });

  it('fails with an Error that has code, cause and request id', () =>
    withCache(async (cache) => {
      const error = await cache.getSecretString('missing').catch((error) => error);
      assert.ok(error instanceof SecretCacheError && error instanceof Error);
      assert.equal(error.name, 'SecretCacheError');
      assert.equal(error.code, 'SECRET_NOT_FOUND');
      assert.equal(error.serviceCode, 'ResourceNotFoundException');
      assert.equal(error.$metadata.httpStatusCode, 400);
      assert.match(error.$metadata.requestId, /./);
      const again = await cache.getSecretString('missing').catch((error) => error);
      assert.notEqual(again, error, 'each failure is a new error');
      assert.equal(again.code, 'SECRET_NOT_FOUND');
    }));

  it('rejects reads of a value of another type', () =>
    withCache(async (cache) => {
      await assert.rejects(cache.getSecretString('bytes'), {
        code: 'WRONG_TYPE',
        message: 'secret "bytes" holds binary, not a string; call getSecretBinary',
      });
      await assert.rejects(cache.getSecretBinary('text'), {
        code: 'WRONG_TYPE',
        message: 'secret "text" holds a string, not binary; call getSecretString',
      });
      await assert.rejects(cache.getSecretJson('text'), {
        code: 'NOT_JSON',
        message: 'the value of secret "text" is not JSON',
      });
    }));

  it('never shows a value', () =>
    withCache(async (cache) => {
      const seen = [await cache.getSecretValue('db'), cache, cache.stats()];
      seen.push(await cache.getSecretJson('text').catch((error) => error));
      seen.push(await cache.getSecretBinary('text').catch((error) => error));
      await cache.connect('db', (credential) => seen.push(credential));
      for (const each of seen) {
        const shown =
          inspect(each, { depth: 9, showHidden: true }) +
          JSON.stringify(each, (_key, value) => (typeof value === 'bigint' ? `${value}` : value));
        assert.doesNotMatch(shown, /canary/);
      }
    }));

  it('prints its counters', async () => {
    const cache = await withCache(async (cache) => {
      await cache.getSecretString('text');
      await cache.getSecretString('text');
      await cache.getSecretValue('text', { versionStage: 'AWSCURRENT' });
      await cache.getSecretBinary('bytes');
      await cache.getSecretString('missing').catch(() => {});
      const text = 'secrets: 2, hits: 2, misses: 3, staleServed: 0, apiCalls: 3, failures: 1';
      assert.equal(inspect(cache), `SecretCache { ${text}, closed: false }`);
      assert.equal(inspect({ cache }, { colors: true, depth: 0, breakLength: Infinity }), `{ cache: ${inspect(cache)} }`);
      assert.ok(!Object.keys(cache).some((name) => !name.startsWith('_')));
      assert.equal(inspect(new Proxy(cache, {})), '[SecretCache]');
      return cache;
    });
    assert.match(inspect(cache), /^SecretCache { secrets: 0, .*closed: true }$/);
  });

  it('calls the other listeners when one throws', () =>
    withCache(
      async (cache) => {
        await endpoint.create('listened', 'one');
        await cache.getSecretString('listened');
        let heard = false;
        cache.on('newVersion', () => {
          throw new Error('of the listener');
        });
        cache.on('newVersion', async () => {
          throw new Error('of the asynchronous listener');
        });
        cache.on('newVersion', () => (heard = true));
        await endpoint.put('listened', 'two');
        await cache.refreshSecretNow('listened');
        await eventually(() => heard && warnings.length === 2);
        assert.match(warnings.join(), /of the listener.*of the asynchronous listener/);
      },
      { logger: { warn: (text) => warnings.push(text) } },
    ));
  const warnings = [];
});

describe('errors', () => {
  it('have a code for every kind in the core', () => {
    const kinds = require('../lib/native.js').native.errorKinds();
    const ours = ERROR_CODES.filter((code) => code !== 'LOGIN_REJECTED');
    assert.deepEqual(
      kinds.map((kind) => kind.toUpperCase()),
      ours,
    );
  });
});

describe('options', () => {
  const refused = (options, ...words) => {
    for (const word of words) {
      assert.throws(
        () => new SecretCache(options),
        (error) => {
          assert.match(error.message, word);
          return true;
        },
      );
    }
  };

  it('that are wrong are named in the error, with what was probably meant', () => {
    const { limits } = require('../lib/settings.js');
    limits.shortestIntervalMs = 1000;
    refused({ refreshIntervalMs: 300 }, /refreshIntervalMs is 300/, /milliseconds/, /300000/);
    refused({ refreshIntervalsMs: { db: 5 } }, /refreshIntervalsMs\["db"\] is 5/);
    limits.shortestIntervalMs = 0;
    refused({ refreshIntervalMs: '5m' }, /refreshIntervalMs must be a number of milliseconds, not a string/);
    refused({ maxStaleMs: -1 }, /maxStaleMs is -1/);
    refused({ maxWaitMs: Number.NaN }, /maxWaitMs is NaN/);
    refused({ maxSize: 0 }, /maxSize/);
    refused({ maxSize: 1.5 }, /maxSize/);
    refused({ staleOnDenied: 1 }, /staleOnDenied/);
    refused({ refreshInterval: 300_000 }, /did you mean refreshIntervalMs/);
    refused({ ttl: 300 }, /did you mean refreshIntervalMs/);
    refused({ regionName: 'x' }, /did you mean region/);
    refused({ surprise: 1 }, /the options are refreshIntervalMs/);
    refused({ client: {} }, /send/);
    refused({ client: { send() {} }, region: 'x' }, /region cannot be combined with client/);
    refused({ logger: {} }, /logger/);
    refused({ credentials: async () => ({}) }, /accessKeyId/);
    assert.throws(() => new SecretCache({ refreshIntervalMs: 'x' }), TypeError);
  });

  it('are refused by the core with a code', () => {
    assert.throws(() => new SecretCache({ endpoint: 'localhost' }), {
      code: 'INVALID_CONFIGURATION',
      name: 'SecretCacheError',
    });
    assert.throws(() => new SecretCache({ maxStaleMs: 1000 }), { code: 'INVALID_CONFIGURATION' });
  });

  it('have the same defaults as in every language', async () => {
    const table = require('../../tests/defaults.json');
    const { readOptions } = require('../lib/settings.js');
    const { settings, versionStage, shortestIntervalMs } = readOptions();
    // Settings that are not passed get the core's default, which a test of the core compares with the table.
    assert.deepEqual(Object.keys(settings), ['sharedAs']);
    assert.equal(versionStage, table.version_stage);
    assert.equal(shortestIntervalMs, table.refresh_interval_seconds * 1000);
  });

  it('of a call are checked', async () => {
    const cache = new SecretCache({ region: 'us-east-1', logger: null });
    await assert.rejects(cache.getSecretString(7), TypeError);
    await assert.rejects(cache.getSecretString('x', { versionStage: 'a', versionId: 'b' }), TypeError);
    await assert.rejects(cache.getSecretString('x', { versionStage: '' }), TypeError);
    await assert.rejects(cache.getSecretString(''), { code: 'INVALID_ARGUMENT' });
    assert.throws(() => cache.peek(undefined), TypeError);
  });
});
