/** NestJS and middy. */

import 'reflect-metadata';

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import middy from '@middy/core';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SecretCache } from 'secretcache';
import { secrets } from 'secretcache/middy';
import { SecretCacheModule } from 'secretcache/nestjs';

import { Endpoint } from './support.mjs';

describe('NestJS', () => {
  it('injects one cache, and closes it with the application', async (t) => {
    const endpoint = await Endpoint.start(t);
    await endpoint.create('text', 'value');
    const greeting = {
      provide: 'GREETING',
      inject: [SecretCache],
      useFactory: async (cache) => `hello ${await cache.getSecretString('text')}`,
    };
    class FeatureModule {}
    Module({ providers: [greeting], exports: ['GREETING'] })(FeatureModule);
    class AppModule {}
    Module({ imports: [SecretCacheModule.forRoot(endpoint.options), FeatureModule] })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
    assert.equal(app.get('GREETING'), 'hello value');
    const cache = app.get(SecretCache);
    await app.close();
    await assert.rejects(cache.getSecretString('text'), { code: 'CLOSED' });
  });
});

describe('middy', () => {
  it('gives a handler its secrets, from memory after the first call', async (t) => {
    const endpoint = await Endpoint.start(t);
    await endpoint.create('text', 'value');
    await endpoint.create('json', JSON.stringify({ apiKey: 'k' }));
    const cache = new SecretCache(endpoint.options);
    t.after(() => cache.close());
    const handler = middy()
      .use(secrets({ cache, fetchData: { text: 'text', payments: 'json' } }))
      .handler(async (_event, { text, payments }) => `${text} ${payments.apiKey}`);
    for (let turn = 0; turn < 3; turn += 1) assert.equal(await handler({}, {}), 'value k');
    assert.deepEqual(await endpoint.calls(), { BatchGetSecretValue: { ok: 1 }, CreateSecret: { ok: 2 } });
  });

  it('says what to use instead of another middleware’s options', () => {
    assert.throws(() => secrets({ cache: {}, fetchData: {}, cacheExpiry: 1 }), {
      name: 'TypeError',
      message: /refreshIntervalMs of the cache/,
    });
  });
});
