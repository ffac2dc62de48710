/**
 * A process that is suspended: stopped for real, and restored from a snapshot.
 *
 * There is no hypervisor here to restore a snapshot. The tests simulate what a process observes: it is stopped, its wall
 * clock is moved forward by an hour (by a preloaded library) while its other clocks are not, its connections are closed,
 * and it is continued. A freeze on AWS Lambda is the first of these; restoring a SnapStart snapshot is all of them.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { eventually, PACKAGE, ROOT } from './support.mjs';

const HOUR_S = 3600;

/** A Secrets Manager that responds when the test lets it, with the value that was current when the request arrived. */
class Service {
  value = 'old';
  /** The number of requests, by operation. */
  calls = {};
  #before = async () => {};
  #server = createServer((request, response) => this.#answer(request, response));

  static async start(t) {
    const service = new Service();
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    t.after(() => {
      service.cut();
      service.#server.close();
    });
    return service;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Closes all connections, because none survives while a snapshot is stored. */
  cut() {
    this.#server.closeAllConnections();
  }

  /** Calls `happens` between the next request and its response, and waits until it is done. */
  meanwhile(happens) {
    return new Promise((resolve) => {
      this.#before = async () => {
        this.#before = async () => {};
        await happens();
        resolve();
      };
    });
  }

  async #answer(request, response) {
    const operation = request.headers['x-amz-target'].split('.')[1];
    this.calls[operation] = (this.calls[operation] ?? 0) + 1;
    const { value } = this;
    const head = { ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:moving-AbCdEf', Name: 'moving' };
    const answer =
      operation === 'DescribeSecret'
        ? { ...head, VersionIdsToStages: { [idOf(value)]: ['AWSCURRENT'] } }
        : { ...head, VersionId: idOf(value), VersionStages: ['AWSCURRENT'], SecretString: value };
    await this.#before();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify(answer));
  }
}

const idOf = (value) => `version-of-the-${value}-value-00000000`;

/** A program with a cache that can be stopped. For each line of input, it reads the secret and prints the result. */
class Program {
  #child;
  #lines;
  #step;

  constructor(t, service, { ownClient = false, options = '' } = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    this.#step = join(folder, 'step');
    const client = ownClient ? 'client: new (require("@aws-sdk/client-secrets-manager").SecretsManagerClient)({}),' : '';
    const script = `
      require('${join(PACKAGE, 'lib/settings.js')}').limits.shortestIntervalMs = 0;
      const { SecretCache } = require('secretcache');
      const cache = new SecretCache({ logger: null, ${client} ${options} });
      const events = [];
      for (const name of ['stale', 'refreshError']) cache.on(name, () => events.push(name));
      require('node:readline').createInterface({ input: process.stdin }).on('line', async () => {
        const value = await cache.getSecretString('moving').catch((error) => error.message);
        console.log(JSON.stringify({ value, failures: cache.stats().failures, events }));
      });`;
    const env = {
      ...process.env,
      AWS_ENDPOINT_URL: service.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'any',
      LD_PRELOAD: library,
      STEP_FILE: this.#step,
      STEP_SECONDS: String(HOUR_S),
    };
    this.#child = spawn(process.execPath, ['-e', script], { cwd: PACKAGE, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    t.after(() => {
      this.#child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    });
  }

  async read() {
    const answered = once(this.#lines, 'line');
    this.#child.stdin.write('\n');
    return JSON.parse((await answered)[0]);
  }

  async stop() {
    this.#child.kill('SIGSTOP');
    // Waits until all its threads are stopped.
    await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')));
  }

  goOn() {
    this.#child.kill('SIGCONT');
  }

  /** Continues as if the process had been stored as a snapshot for an hour. */
  restore() {
    writeFileSync(this.#step, '');
    this.goOn();
  }
}

let library;

describe('a process that is suspended', () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    library = join(folder, 'clock_step.so');
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(ROOT, 'tests', 'tools', 'clock_step.c')]);
  });
  after(() => rmSync(folder, { recursive: true }));

  it('serves no old value as fresh once its interval has passed', async (t) => {
    const service = await Service.start(t);
    const program = new Program(t, service, { options: 'refreshIntervalMs: 1500' });
    assert.equal((await program.read()).value, 'old');
    assert.equal((await program.read()).value, 'old');
    await program.stop();
    service.value = 'new';
    // The refresh interval, and the time after it in which a value is still refreshed in the background, must pass.
    await pause(2500);
    program.goOn();
    assert.deepEqual(await program.read(), { value: 'new', failures: {}, events: [] });
  });

  it('repeats a request during which it was stopped, even if it has been answered since', async (t) => {
    const service = await Service.start(t);
    const program = new Program(t, service, { options: 'timeoutMs: 2000' });
    const stopped = service.meanwhile(() => program.stop());
    const reading = program.read();
    await stopped;
    service.value = 'new';
    // A request that takes more than twice its time limit plus five seconds was suspended.
    await pause(9500);
    program.goOn();
    assert.deepEqual(await reading, { value: 'new', failures: {}, events: [] });
    assert.deepEqual(service.calls, { GetSecretValue: 2 });
  });

  for (const ownClient of [false, true]) {
    describe(`and is restored from a snapshot, with ${ownClient ? 'its own client' : 'the native transport'}`, () => {
      it('serves no old value as fresh', async (t) => {
        const service = await Service.start(t);
        const program = new Program(t, service, { ownClient });
        assert.equal((await program.read()).value, 'old');
        await program.stop();
        service.cut();
        service.value = 'new';
        // A hit reads coarse clocks, and the wall clock only once per tick of theirs, which is at most 10 ms.
        await pause(50);
        program.restore();
        assert.deepEqual(await program.read(), { value: 'new', failures: {}, events: [] });
        assert.equal((await program.read()).value, 'new');
        assert.deepEqual(service.calls, { GetSecretValue: 2, DescribeSecret: 1 });
      });

      it('repeats a first request that was in flight, answered or cut off', async (t) => {
        for (const happens of [() => {}, (service) => service.cut()]) {
          const service = await Service.start(t);
          const program = new Program(t, service, { ownClient });
          const stopped = service.meanwhile(async () => {
            await program.stop();
            happens(service);
          });
          const reading = program.read();
          await stopped;
          service.value = 'new';
          program.restore();
          assert.deepEqual(await reading, { value: 'new', failures: {}, events: [] });
        }
      });

      it('repeats a refresh that was in flight', async (t) => {
        const service = await Service.start(t);
        const program = new Program(t, service, { ownClient, options: 'refreshIntervalMs: 500' });
        assert.equal((await program.read()).value, 'old');
        // A refresh starts, because the secret was read.
        await service.meanwhile(() => program.stop());
        service.value = 'new';
        program.restore();
        assert.deepEqual(await program.read(), { value: 'new', failures: {}, events: [] });
      });
    });
  }
});
