/** The package in a different realm from its native module, as Jest loads it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import vm from 'node:vm';

import { Endpoint, PACKAGE, require } from './support.mjs';

/** Loads the package's files into a separate context. Node's modules and the native module stay outside. */
function loadIn(context) {
  const modules = new Map();
  const load = (file) => {
    if (file.endsWith('.node')) return require(file);
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    const wrap = vm.runInContext(`(function (module, exports, require) {${readFileSync(file, 'utf8')}\n})`, context, file);
    const inside = (name) => (name.startsWith('.') ? load(resolve(dirname(file), name)) : require(name));
    wrap(module, module.exports, inside);
    return module.exports;
  };
  const resolve = (folder, name) => require.resolve(join(folder, name));
  return load(join(PACKAGE, 'lib', 'index.js'));
}

describe('in a separate realm', () => {
  let endpoint;
  before(async () => {
    endpoint = await Endpoint.start();
    await endpoint.create('text', 'value');
  });
  after(() => endpoint?.close());

  it('N10: every error is a SecretCacheError of this realm, with its code', async () => {
    const globals = {
      process,
      Buffer,
      setTimeout,
      setInterval,
      clearTimeout,
      clearInterval,
      setImmediate,
      performance,
      AbortController,
      AbortSignal,
      WeakRef,
      URL,
    };
    const { SecretCache, SecretCacheError } = loadIn(vm.createContext(globals));
    const refused = (make, code) =>
      assert.throws(make, (error) => {
        assert.ok(error instanceof SecretCacheError, String(error));
        assert.equal(error.code, code);
        return true;
      });
    refused(() => new SecretCache({ endpoint: 'localhost' }), 'INVALID_CONFIGURATION');
    const cache = new SecretCache(endpoint.options);
    await assert.rejects(
      cache.connect('text', () => {}, { stages: ['NONE'] }),
      (error) => error instanceof SecretCacheError && error.code === 'INVALID_ARGUMENT',
    );
    await assert.rejects(
      cache.getSecretString('missing'),
      (error) => error instanceof SecretCacheError && error.code === 'SECRET_NOT_FOUND',
    );
    await cache.close();
  });

  it('N10: a client’s bytes and dates are accepted from any realm', async () => {
    const context = vm.createContext({
      process,
      Buffer,
      setTimeout,
      setInterval,
      clearTimeout,
      clearInterval,
      performance,
      AbortController,
      WeakRef,
    });
    const { SecretCache } = loadIn(context);
    const send = async () => ({
      SecretBinary: new Uint8Array([1, 2]),
      CreatedDate: new Date(0),
      VersionId: 'v',
      VersionStages: ['AWSCURRENT'],
    });
    const cache = new SecretCache({ client: { send }, logger: null });
    assert.deepEqual([...(await cache.getSecretBinary('bytes'))], [1, 2]);
    assert.equal((await cache.getSecretValue('bytes')).createdDate.getTime(), 0);
    await cache.close();
  });
});
