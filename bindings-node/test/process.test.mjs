/** Processes, threads and bundles: how a cache affects the program around it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

import { buildSync } from 'esbuild';

import { Endpoint, PACKAGE, require, run } from './support.mjs';

describe('a process', () => {
  let endpoint;
  before(async () => {
    endpoint = await Endpoint.start();
    for (const id of ['db', 'slow', 'moving']) await endpoint.create(id, 'one');
  });
  after(() => endpoint.close());

  const script = (text) =>
    run(['--unhandled-rejections=strict', '-e', `const { SecretCache } = require('secretcache');\n${text}`], {
      env: endpoint.environment,
    });

  it('exits at once with a warm cache and a refresh in progress', async () => {
    await endpoint.fault({ operations: ['DescribeSecret'], secret_id: 'slow', effect: 'hang' });
    const { status, stdout, stderr } = await script(`
      require('${join(PACKAGE, 'lib/settings.js')}').limits.shortestIntervalMs = 0;
      const cache = new SecretCache({ refreshIntervalMs: 50, logger: null });
      const watch = cache.watch('slow');
      cache.getSecretString('slow').then(async () => {
        // The background refresh sends a request that is never answered.
        const calls = async () => (await (await fetch('${endpoint.url}/_control/calls')).json()).DescribeSecret;
        await new Promise((resolve) => setTimeout(resolve, 300));
        globalThis.finished = performance.now();
        process.on('exit', () => console.log(performance.now() - finished));
      });
    `);
    await endpoint.restore();
    assert.deepEqual([status, stderr], [0, '']);
    assert.ok(Number(stdout) < 5000, `it took ${stdout} ms`);
  });

  it('stays alive for a read that it awaits, although nothing else keeps it alive', async () => {
    await endpoint.fault({ operations: ['GetSecretValue'], secret_id: 'db', times: 1, delay_ms: 400 });
    const { status, stdout } = await script(`new SecretCache().getSecretString('db').then(console.log)`);
    assert.deepEqual([status, stdout], [0, 'one\n']);
  });

  it('can exit at any time', async () => {
    for (const ending of ['process.exit(3)', 'setTimeout(() => process.exit(3), 5)', 'setImmediate(() => process.exit(3))']) {
      const { status, stderr } = await script(`
        const cache = new SecretCache();
        for (let n = 0; n < 50; n += 1) cache.getSecretString('db').catch(() => {});
        cache.prefetch(['db', 'slow']).catch(() => {});
        ${ending}`);
      assert.deepEqual([status, stderr], [3, '']);
    }
  });

  it('gets no unhandled rejection from a cache without listeners', async () => {
    const { status, stdout, stderr } = await script(`
      require('${join(PACKAGE, 'lib/settings.js')}').limits.shortestIntervalMs = 0;
      const cache = new SecretCache({ refreshIntervalMs: 20, logger: null, client: { send: async () => { throw new Error('no'); } } });
      const refused = new SecretCache({ endpoint: 'http://127.0.0.1:1', refreshIntervalMs: 20, timeoutMs: 3000, logger: null });
      (async () => {
        const controller = new AbortController();
        const reads = [cache.getSecretString('a'), refused.getSecretString('b'), refused.getSecretString('c', { signal: controller.signal })];
        controller.abort();
        const ends = await Promise.allSettled(reads);
        await new Promise((resolve) => setTimeout(resolve, 200));
        console.log(ends.map((end) => end.reason.code).join());
      })();`);
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(stdout, 'SOURCE,CONNECTION,20\n');
  });

  it('warns once through Node’s own warnings, or through a logger', async () => {
    // A read that throws the error does not warn too, so this forces a refresh.
    const read = `.refreshSecretNow('missing').catch(() => {})`;
    const plain = await script(`const c = new SecretCache(); c${read}.then(() => c${read})`);
    assert.equal(plain.stderr.match(/SecretCacheWarning: secret "missing" could not be fetched/g).length, 1);
    const logged = await script(`const c = new SecretCache({ logger: { warn: (text) => console.log(text) } }); c${read}`);
    assert.equal(logged.stderr, '');
    assert.match(logged.stdout, /^secretcache: secret "missing" could not be fetched: /);
  });

  it('can be a cluster of forks', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    const file = join(folder, 'cluster.cjs');
    writeFileSync(
      file,
      `
      const cluster = require('node:cluster');
      const { SecretCache } = require('${PACKAGE}');
      const cache = new SecretCache();
      cache.getSecretString('db').then((value) => {
        if (cluster.isPrimary) {
          let [ended, good] = [0, 0];
          for (let n = 0; n < 3; n += 1) cluster.fork();
          cluster.on('message', (_, message) => (good += message === value));
          cluster.on('exit', (_, status) => { if ((ended += 1) === 3) console.log(good, status); });
        } else process.send(value, () => process.disconnect());
      });`,
    );
    const { stdout, stderr, status } = await run([file], { env: endpoint.environment });
    rmSync(folder, { recursive: true });
    assert.deepEqual([status, stderr, stdout], [0, '', '3 0\n']);
  });

  it('can be an esbuild bundle', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    const source = join(PACKAGE, 'test', 'handler.fixture.mjs');
    for (const external of [[], ['secretcache']]) {
      const outfile = join(folder, `handler-${external.length}.cjs`);
      buildSync({
        entryPoints: [source],
        bundle: true,
        platform: 'node',
        outfile,
        external,
        loader: { '.node': 'copy' },
        logLevel: 'error',
      });
      const options = { env: { ...endpoint.environment, NODE_PATH: join(PACKAGE, 'node_modules') }, cwd: PACKAGE };
      if (external.length > 0) {
        // A bundle with the package external is shipped with node_modules next to it.
        const { cpSync, mkdirSync } = require('node:fs');
        const home = join(folder, 'node_modules', 'secretcache');
        mkdirSync(home, { recursive: true });
        for (const part of ['lib', 'index.mjs', 'package.json', 'secretcache.linux-x64-gnu.node']) {
          if (existsSync(join(PACKAGE, part))) cpSync(join(PACKAGE, part), join(home, part), { recursive: true });
        }
      }
      const { stdout, stderr, status } = await run(['-e', `require('${outfile}').handler().then(console.log)`], options);
      assert.deepEqual([status, stderr, stdout], [0, '', 'one\n']);
    }
    rmSync(folder, { recursive: true });
  });

  it('on a platform without a build says what to do', () => {
    const { load } = require('../lib/native.js');
    assert.throws(() => load('aix', 'ppc64'), {
      code: 'SECRETCACHE_NO_BUILD',
      message:
        /no build for aix-ppc64; there are builds for linux-x64, .*To add one, extend ts\/native\.ts .*`make node` \(needs Rust\)$/s,
    });
  });

  describe('says why a module is missing, and what to do', () => {
    const RELEASED = { name: 'secretcache', optionalDependencies: { 'secretcache-linux-arm64-gnu': '1.0.0' } };
    const FROM_SOURCE = { name: 'secretcache' };
    const reasons = /^secretcache cannot load a native module for linux-arm64:\n- Cannot find module '\.\.\/secretcache/;

    /** Returns the error of a copy of the package with this manifest, on a Linux whose architecture is said to be arm64. */
    const refusal = (t, manifest, modules = {}) => {
      const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
      t.after(() => rmSync(folder, { recursive: true }));
      cpSync(join(PACKAGE, 'lib'), join(folder, 'lib'), { recursive: true });
      if (manifest !== undefined) writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
      for (const [name, content] of Object.entries(modules)) writeFileSync(join(folder, name), content);
      const program = `
        Object.defineProperty(process, 'platform', { value: 'linux' });
        Object.defineProperty(process, 'arch', { value: 'arm64' });
        try { require(process.argv[1]); } catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`;
      const output = execFileSync(process.execPath, ['-e', program, join(folder, 'lib', 'index.js')], { encoding: 'utf8' });
      const { code, message } = JSON.parse(output);
      assert.equal(code, 'SECRETCACHE_NO_BUILD');
      return message;
    };

    it('a released package: its optional dependency was left out', (t) => {
      const message = refusal(t, RELEASED);
      assert.match(message, reasons);
      assert.match(message, /The module comes in an optional dependency, .* without --omit=optional\.$/s);
      assert.doesNotMatch(message, /from source/);
    });

    it('a package packed from source: it has no optional dependency', (t) => {
      const message = refusal(t, FROM_SOURCE);
      assert.match(message, reasons);
      assert.match(
        message,
        /packed from source .*Install a released package\. Or pack one on this platform: .*run `make node` in a checkout of https:.* \(needs Rust\)/s,
      );
      assert.doesNotMatch(message, /optional/);
    });

    it('a bundle: the module was not copied', (t) => {
      for (const manifest of [undefined, { name: 'program', optionalDependencies: {} }]) {
        const message = refusal(t, manifest);
        assert.match(message, reasons);
        assert.match(message, /In a bundle, keep the package external .*--loader:\.node=copy/s);
      }
    });

    it('any package: its module is for another system', (t) => {
      for (const manifest of [RELEASED, FROM_SOURCE]) {
        const message = refusal(t, manifest, { 'secretcache.linux-arm64-gnu.node': 'of another system' });
        assert.match(
          message,
          /A module is there, but this system cannot load it\. .*glibc 2\.28 or newer.* run `make node` in a checkout of https:.* \(needs Rust\)/s,
        );
        assert.doesNotMatch(message, /optional/);
      }
    });
  });

  it('can load a build for each platform listed in package.json', () => {
    const { napi, version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
    const loader = readFileSync(join(PACKAGE, 'ts', 'native.ts'), 'utf8');
    const names = {
      'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
      'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
      'x86_64-unknown-linux-musl': 'linux-x64-musl',
      'aarch64-unknown-linux-musl': 'linux-arm64-musl',
      'x86_64-apple-darwin': 'darwin-x64',
      'aarch64-apple-darwin': 'darwin-arm64',
      'x86_64-pc-windows-msvc': 'win32-x64-msvc',
    };
    assert.deepEqual(Object.keys(names), napi.targets);
    for (const name of Object.values(names)) {
      assert.ok(loader.includes(`require('../secretcache.${name}.node')`), name);
      assert.ok(loader.includes(`require('secretcache-${name}')`), name);
    }
    assert.equal(require('../lib/native.js').native.version(), version);
  });
});

describe('worker threads', () => {
  let endpoint;
  before(async () => {
    endpoint = await Endpoint.start();
    await endpoint.create('db', 'one');
  });
  after(() => endpoint.close());

  const worker = (text, data) =>
    new Worker(
      `
    const { parentPort, workerData } = require('node:worker_threads');
    const { SecretCache } = require(${JSON.stringify(PACKAGE)});
    ${text}`,
      { eval: true, workerData: data },
    );

  it('share one cache, and each is notified about a new version', async () => {
    const { SecretCache } = require('secretcache');
    const cache = new SecretCache(endpoint.options);
    assert.equal(await cache.getSecretString('db'), 'one');
    const { logger, ...options } = endpoint.options;
    const others = Array.from({ length: 3 }, () =>
      worker(
        `
      const cache = new SecretCache(workerData);
      cache.on('newVersion', async () => { parentPort.postMessage(await cache.getSecretString('db')); await cache.close(); });
      cache.getSecretString('db').then((value) => parentPort.postMessage([value, cache.stats().apiCalls]));
      parentPort.on('message', () => process.exit());`,
        options,
      ),
    );
    for (const [[value, calls]] of await Promise.all(others.map((each) => once(each, 'message')))) {
      assert.equal(value, 'one');
      assert.deepEqual(calls, { GetSecretValue: 1 });
    }
    const heard = Promise.all(others.map((each) => once(each, 'message')));
    await endpoint.put('db', 'two');
    await cache.refreshSecretNow('db');
    assert.deepEqual(await heard, [['two'], ['two'], ['two']]);
    assert.equal(await cache.getSecretString('db'), 'two', 'the others closed theirs, not this one');
    await Promise.all(others.map((each) => each.terminate()));
    await cache.close();
  });

  it('can be started and terminated a hundred times, in the middle of reads', async () => {
    const { logger, ...options } = endpoint.options;
    for (let turn = 0; turn < 100; turn += 1) {
      const each = worker(
        `
        const cache = new SecretCache({ ...workerData, maxSize: 1 + ${turn} % 7 });
        (async () => {
          for (;;) {
            await cache.getSecretString('db');
            await new Promise((resolve) => setImmediate(resolve));
          }
        })();
        cache.prefetch(['db', 'x', 'y', 'z']).catch(() => {});
        cache.refreshSecretNow('db').then(() => parentPort.postMessage('ready'));`,
        options,
      );
      if (turn % 2 === 0) await once(each, 'message');
      await each.terminate();
    }
  });

  it('never serve an older version than the one they were notified about, under load', async () => {
    const VERSIONS = 60;
    await endpoint.create('counter', '0');
    const { logger, ...options } = endpoint.options;
    // Runs in every thread: the values and version ids are increasing numbers, and reads never stop.
    const reader = `
      const cache = new SecretCache({ ...workerData, refreshIntervalMs: 40 });
      let [newest, reads, news] = [0, 0, 0];
      const fresh = (how, value) => {
        reads += 1;
        if (Number(value) < newest) throw new Error(how + ' ' + value + ' after the event for ' + newest);
      };
      cache.on('newVersion', ({ newVersionId }) => {
        news += 1;
        newest = Math.max(newest, Number(newVersionId));
        fresh('peeked in the listener', cache.peek('counter'));
      });
      (async () => {
        while (newest < ${VERSIONS}) {
          for (let burst = 0; burst < 500; burst += 1) {
            fresh('peeked', cache.peek('counter') ?? newest);
            const before = newest;
            const value = await cache.getSecretString('counter');
            if (Number(value) < before) throw new Error('read ' + value + ' after the event for ' + before);
          }
          await new Promise((resolve) => setImmediate(resolve));
        }
        parentPort.postMessage({ reads, news });
        await cache.close();
      })();`;
    const lowered = `require(${JSON.stringify(join(PACKAGE, 'lib/settings.js'))}).limits.shortestIntervalMs = 0;`;
    const readers = Array.from({ length: 3 }, () => worker(lowered + reader, options));
    const ends = readers.map((each) => once(each, 'message'));
    const { SecretCache } = require('secretcache');
    const cache = new SecretCache({ ...endpoint.options, refreshIntervalMs: 40 });
    for (let number = 1; number <= VERSIONS; number += 1) {
      const token = String(number).padStart(32, '0');
      await endpoint.call('PutSecretValue', { SecretId: 'counter', SecretString: String(number), ClientRequestToken: token });
      if (number % 3 === 0) await cache.refreshSecretNow('counter');
    }
    for (const [{ reads, news }] of await Promise.all(ends)) {
      assert.ok(reads > 1000, `${reads} reads`);
      assert.ok(news > 1, `notified ${news} times`);
    }
    await cache.close();
  });
});
