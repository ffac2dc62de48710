/**
 * A process that stands still: stopped for real, and restored from a snapshot.
 *
 * There is no hypervisor here to restore a snapshot with. What a process sees of one is made instead: it is stopped, its
 * wall clock is moved an hour on (by a preloaded library) while its other clocks are not, its connections are cut, and it
 * is let go on. On AWS Lambda a freeze is the first of these, and the restore of a SnapStart snapshot all of them.
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

/** A Secrets Manager that answers when the test lets it, with what was current when it was asked. */
class Service {
  value = 'old';
  /** How often it was asked, by operation. */
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

  /** Ends all connections, as nobody keeps them while a snapshot lies about. */
  cut() {
    this.#server.closeAllConnections();
  }

  /** Has something happen between the next request and its answer, and waits until it has. */
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

/** A program with a cache, that can be stopped. For each line of input it reads the secret and says what it got. */
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
      const told = [];
      for (const name of ['stale', 'refreshError']) cache.on(name, () => told.push(name));
      require('node:readline').createInterface({ input: process.stdin }).on('line', async () => {
        const value = await cache.getSecretString('moving').catch((error) => error.message);
        console.log(JSON.stringify({ value, failures: cache.stats().failures, told }));
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
    // Each of its threads stands still from here on.
    await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')));
  }

  goOn() {
    this.#child.kill('SIGCONT');
  }

  /** As if it had been kept as a snapshot for an hour. */
  restore() {
    writeFileSync(this.#step, '');
    this.goOn();
  }
}

let library;

describe('a process that stands still', () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    library = join(folder, 'clock_step.so');
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(ROOT, 'tests', 'tools', 'clock_step.c')]);
  });
  after(() => rmSync(folder, { recursive: true }));

  it('serves nothing old as fresh once its interval has passed', async (t) => {
    const service = await Service.start(t);
    const program = new Program(t, service, { options: 'refreshIntervalMs: 1500' });
    assert.equal((await program.read()).value, 'old');
    assert.equal((await program.read()).value, 'old');
    await program.stop();
    service.value = 'new';
    // Its interval and the time beyond in which it may refresh beside its readers must pass while it stands still.
    await pause(2500);
    program.goOn();
    assert.deepEqual(await program.read(), { value: 'new', failures: {}, told: [] });
  });

  it('makes a request anew that it was stopped in, although it has been answered since', async (t) => {
    const service = await Service.start(t);
    const program = new Program(t, service, { options: 'timeoutMs: 2000' });
    const stopped = service.meanwhile(() => program.stop());
    const reading = program.read();
    await stopped;
    service.value = 'new';
    // A request that takes twice its time limit and five seconds more has stood still.
    await pause(9500);
    program.goOn();
    assert.deepEqual(await reading, { value: 'new', failures: {}, told: [] });
    assert.deepEqual(service.calls, { GetSecretValue: 2 });
  });

  for (const ownClient of [false, true]) {
    describe(`and is restored from a snapshot, with ${ownClient ? 'a client of its own' : 'the native transport'}`, () => {
      it('serves nothing old as fresh', async (t) => {
        const service = await Service.start(t);
        const program = new Program(t, service, { ownClient });
        assert.equal((await program.read()).value, 'old');
        await program.stop();
        service.cut();
        service.value = 'new';
        // A hit looks at coarse clocks, and at the wall clock only once in each of their ticks, of 10 ms at most.
        await pause(50);
        program.restore();
        assert.deepEqual(await program.read(), { value: 'new', failures: {}, told: [] });
        assert.equal((await program.read()).value, 'new');
        assert.deepEqual(service.calls, { GetSecretValue: 2, DescribeSecret: 1 });
      });

      it('makes a first request anew that was in flight, answered or cut off', async (t) => {
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
          assert.deepEqual(await reading, { value: 'new', failures: {}, told: [] });
        }
      });

      it('makes a refresh anew that was in flight', async (t) => {
        const service = await Service.start(t);
        const program = new Program(t, service, { ownClient, options: 'refreshIntervalMs: 500' });
        assert.equal((await program.read()).value, 'old');
        // The refresher asks, for the secret was read.
        await service.meanwhile(() => program.stop());
        service.value = 'new';
        program.restore();
        assert.deepEqual(await program.read(), { value: 'new', failures: {}, told: [] });
      });
    });
  }
});
