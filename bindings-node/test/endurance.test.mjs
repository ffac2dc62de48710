/** Many reads leak no memory, and a process exits with its own status, whatever was in progress. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Endpoint, run } from './support.mjs';

/** How often each program is run. Set 200 to find rare failures. */
const ROUNDS = Number(process.env.SECRETCACHE_ROUNDS ?? 5);

describe('memory', () => {
  const CACHE = `
    const { SecretCache } = require('secretcache');
    const value = JSON.stringify({ username: 'app', password: 'x'.repeat(2000) });
    const send = async (command) => ({ ARN: 'arn:' + command.input.SecretId, VersionId: 'v1', VersionStages: ['AWSCURRENT'], SecretString: value });
    const cache = new SecretCache({ client: { send }, logger: null, maxSize: 50 });
    const settled = async () => {
      for (let turn = 0; turn < 5; turn += 1) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      return process.memoryUsage().rss;
    };`;
  // A leak grows in every block; the engine's garbage grows memory only in some.
  const growth = async (work) => {
    const text = `${CACHE}
      (async () => {
        const work = async (rounds) => { for (let each = 0; each < rounds; each += 1) { ${work} } };
        await work(20_000);
        const sizes = [await settled()];
        for (let block = 0; block < 3; block += 1) { await work(25_000); sizes.push(await settled()); }
        console.log(JSON.stringify(sizes.slice(1).map((size, block) => size - sizes[block])));
        process.exit();
      })();`;
    const { stdout, stderr, status } = await run(['--expose-gc', '-e', text]);
    assert.deepEqual([status, stderr], [0, '']);
    return Math.min(...JSON.parse(stdout)) / 1024 / 1024;
  };

  for (const [what, work] of Object.entries({
    'ids built for each call': `await cache.getSecretString(['a', 'pi', each % 20].join(''));`,
    'fields of secrets': `await cache.getSecretField('db', 'password');`,
    'JSON of secrets': `await cache.getSecretJson('db');`,
    evictions: `if (each % 4 === 0) await cache.getSecretString('id-' + (each % 1200));`,
    'reads with one signal': `await cache.getSecretString('db', { signal: (globalThis.signal ??= new AbortController().signal) });`,
    connects: `if (each % 20 === 0) await cache.connect('db', () => 1);`,
  })) {
    it(`is flat with ${what}`, async () => {
      const grown = await growth(work);
      assert.ok(grown < 1, `${grown.toFixed(1)} MiB more after each 25,000 reads`);
    });
  }
});

describe('a process', () => {
  let endpoint;
  before(async () => {
    endpoint = await Endpoint.start();
    await endpoint.create('text', 'value');
  });
  after(() => endpoint?.close());

  const native = `const cache = new SecretCache();`;
  const client = `const cache = new SecretCache({ client: { send: async () => ({ SecretString: 'value', VersionId: 'v', VersionStages: ['AWSCURRENT'] }) } });`;
  const ENDS = {
    'that reads ends with 0': [0, `cache.getSecretString('text')`],
    'that fails ends with its own status': [3, `cache.getSecretString('text').then(() => process.exit(3))`],
    'that throws ends with 1': [1, `cache.getSecretString('text').then(() => { throw new Error('mine') })`],
    'that exits with a read in progress ends with its own status': [4, `cache.getSecretString('text'); process.exit(4)`],
    'that has a listener and closes its cache ends with 0': [
      0,
      `cache.on('newVersion', () => {}); cache.watch('text'); cache.getSecretString('text').then(() => cache.refreshSecretNow('text')).then(() => cache.close())`,
    ],
    'whose listener throws ends with 0': [
      0,
      `cache.on('refreshError', () => { throw new Error('mine'); }); cache.refreshSecretNow('missing').catch(() => {})`,
    ],
  };
  for (const [transport, make] of Object.entries({ 'its own transport': native, 'a client': client })) {
    for (const [what, [expected, work]] of Object.entries(ENDS)) {
      it(`${what}, with ${transport}`, async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const { status, signal } = await run(['-e', `const { SecretCache } = require('secretcache');\n${make}\n${work}`], {
            env: endpoint.environment,
          });
          assert.deepEqual([status, signal], [expected, null], `round ${round}`);
        }
      });
    }
  }
});
