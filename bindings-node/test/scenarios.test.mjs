/** Runs the scenarios that all languages share, on `SecretCache` with a scripted client. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { LoginRejectedError, SecretCache } from 'secretcache';

import { eventually, ROOT } from './support.mjs';

const FOLDER = join(ROOT, 'tests', 'scenarios');
const FIELDS = new Set(['title', 'runs', 'real_time', 'config', 'store', 'steps']);
const TIMES = { ttl: 'refreshIntervalMs', max_wait: 'maxWaitMs', max_stale: 'maxStaleMs' };
const OTHERS = { max_size: 'maxSize', stale_on_denied: 'staleOnDenied' };
const BESIDE = {
  read: ['stage', 'version_id', 'readers', 'value', 'error'],
  refresh: ['error'],
  peek: ['value'],
  connect: ['stages', 'timeout', 'connected', 'error', 'tried'],
  store: ['after'],
  fail: ['after'],
  restore: ['after'],
  resource: ['after'],
};
const STATS = {
  hits: 'hits',
  misses_absent: 'missesAbsent',
  misses_expired: 'missesExpired',
  stale_served: 'staleServed',
  coalesced: 'coalesced',
  refreshes: 'refreshes',
  rotations_observed: 'rotationsObserved',
  evictions: 'evictions',
};

class Refused extends Error {
  code = '28P01';
}

class ResourceError extends Error {}

/** An error as the AWS SDK throws it. */
function serviceError(code, message) {
  return Object.assign(new Error(message), { name: code, $fault: 'client', $metadata: { httpStatusCode: 400 } });
}

/** A client for the secrets in a scenario's store, and the resource to log in to with them. */
class Store {
  held = {};
  fault;
  calls = [];
  answers = Promise.resolve();
  release = () => {};
  resource = {};
  logins = [];
  later = [];

  constructor(held) {
    this.change(held);
  }

  catchUp() {
    const now = performance.now();
    const happening = this.later.filter((each) => each.when <= now);
    this.later = this.later.filter((each) => each.when > now);
    for (const each of happening) each.happen();
  }

  change(changes) {
    for (const [name, change] of Object.entries(changes)) {
      onlyHas(change, ['arn', 'versions', 'stages']);
      const held = (this.held[name] ??= { versions: {}, stages: {} });
      Object.assign(held.versions, change.versions);
      Object.assign(held.stages, change.stages);
      held.arn = change.arn ?? held.arn;
    }
  }

  hold(held) {
    this.release();
    this.answers = held ? new Promise((resolve) => (this.release = resolve)) : Promise.resolve();
  }

  async send(command) {
    const { input } = command;
    const operation = command.constructor.name.replace('Command', '');
    const held = await this.#called(operation, input.SecretId);
    const head = held.arn === undefined ? {} : { ARN: held.arn };
    if (operation === 'DescribeSecret') {
      const versions = Object.values(held.stages).filter((version) => version !== null);
      return { ...head, VersionIdsToStages: Object.fromEntries(versions.map((version) => [version, labels(held, version)])) };
    }
    const versionId = input.VersionId ?? held.stages[input.VersionStage];
    const missing = () =>
      serviceError('ResourceNotFoundException', "Secrets Manager can't find the specified secret value for staging label: it");
    if (versionId === undefined || versionId === null) throw missing();
    if (this.fault?.of?.some((label) => labels(held, versionId).includes(label)))
      throw serviceError(this.fault.code, this.fault.message);
    if (!Object.hasOwn(held.versions, versionId)) throw missing();
    const value = plain(held.versions[versionId]);
    const kind = typeof value === 'string' ? { SecretString: value } : { SecretBinary: value };
    return { ...head, VersionId: versionId, VersionStages: labels(held, versionId), ...kind };
  }

  async #called(operation, secretId) {
    this.catchUp();
    this.calls.push(operation);
    const fault = this.fault;
    await this.answers;
    if (fault !== undefined && fault.of === undefined && (fault.on ?? [operation]).includes(operation)) {
      onlyHas(fault, ['code', 'message', 'on']);
      throw serviceError(fault.code, fault.message);
    }
    const all = Object.values(this.held);
    const held = this.held[secretId] ?? all.find(({ arn }) => arn && [arn, arn.slice(0, -7)].includes(secretId));
    if (held === undefined) throw serviceError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    return held;
  }

  logIn(credential) {
    this.catchUp();
    const name = `${credential.versionStage} ${credential.versionId}`;
    if (this.resource.fails) {
      this.logins.push(`${name} failed`);
      throw new ResourceError('the network is down');
    }
    const accepted = this.resource.accepts ?? [];
    const taken = Object.values(this.held).flatMap(({ versions }) =>
      accepted.filter((id) => Object.hasOwn(versions, id)).map((id) => JSON.parse(plain(versions[id]))),
    );
    const fits = ({ username, password }) => username === credential.username && password === credential.password;
    if (!taken.some(fits)) {
      this.logins.push(`${name} refused`);
      throw new Refused('password authentication failed');
    }
    this.logins.push(`${name} accepted`);
    return name;
  }
}

/** A cache, its store, and the events it emitted. */
class World {
  events = [];

  constructor(scenario) {
    this.scale = (scenario.real_time ?? 1) * 1000;
    const options = {};
    for (const [key, value] of Object.entries(scenario.config ?? {})) {
      assert.ok(key in TIMES || key in OTHERS, `unknown setting ${key}`);
      if (key in TIMES) options[TIMES[key]] = value * this.scale;
      else options[OTHERS[key]] = value;
    }
    this.store = new Store(scenario.store);
    this.cache = new SecretCache({ client: this.store, logger: null, ...options });
    const { cache } = this;
    cache.on('newVersion', (event) => this.#note(`new_version ${event.secretId} ${event.oldVersionId} ${event.newVersionId}`));
    cache.on('stale', (event) => this.#note(`stale ${event.secretId}`));
    cache.on('refreshError', (event) => this.#note(`error ${event.secretId} ${kind(event.error)}`));
  }

  #note(text) {
    if (!this.events.includes(text)) this.events.push(text);
  }

  verbs = {
    read: async ({ read, stage, version_id, readers = 1, value, error }) => {
      const options = { ...(stage && { versionStage: stage }), ...(version_id && { versionId: version_id }) };
      const one = () =>
        this.cache.getSecretValue(read, options).then(
          (got) => ({ value: got.secretString ?? got.secretBinary }),
          (error) => ({ error: kind(error) }),
        );
      const expected = error === undefined ? { value: plain(value) } : { error };
      for (const got of await Promise.all(Array.from({ length: readers }, one)))
        assert.deepEqual(comparable(got), comparable(expected));
    },
    refresh: async ({ refresh, error }) => {
      const got = await this.cache.refreshSecretNow(refresh).then(() => undefined, kind);
      assert.equal(got, error);
    },
    peek: ({ peek, value }) => assert.deepEqual(this.cache.peek(peek), value === undefined ? undefined : plain(value)),
    connect: async ({ connect, stages, timeout, connected, error, tried }) => {
      const options = { ...(stages && { stages }), ...(timeout && { timeoutMs: timeout * this.scale }) };
      const ended = await this.cache
        .connect(connect, (credential) => this.store.logIn(credential), options)
        .then(
          (connection) => ({ connection }),
          (error) => ({ error }),
        );
      if (ended.error instanceof LoginRejectedError) assert.ok(ended.error.cause instanceof Refused);
      const got = ended.error instanceof ResourceError ? 'resource' : ended.error && kind(ended.error);
      assert.deepEqual({ connected: ended.connection, error: got }, { connected, error });
      if (tried !== undefined)
        assert.deepEqual(
          ended.error.tried.map((each) => `${each.versionStage} ${each.versionId}`),
          tried,
        );
    },
    resource: ({ resource }) => {
      onlyHas(resource, ['accepts', 'fails']);
      this.store.resource = resource;
    },
    logins: ({ logins }) => assert.deepEqual(this.store.logins.splice(0), logins),
    at_most: ({ at_most: most }) => {
      onlyHas(most, ['logins', 'calls']);
      assert.ok(this.store.logins.splice(0).length <= most.logins);
      assert.ok(this.store.calls.splice(0).length <= most.calls);
    },
    invalidate: ({ invalidate }) => this.cache.invalidate(invalidate),
    close: () => this.cache.close(),
    store: ({ store }) => this.store.change(store),
    fail: ({ fail }) => (this.store.fault = fail),
    restore: () => (this.store.fault = undefined),
    hold: ({ hold }) => this.store.hold(hold),
    // These scenarios test the passing of time, so there is no condition to wait for.
    pass: ({ pass }) => pause(pass * this.scale),
    // The program's own client gets the same calls as the native transport.
    calls: ({ calls }) => assert.deepEqual(this.store.calls.splice(0), calls.native),
    events: async ({ events }) => {
      await eventually(() => this.events.length >= events.length);
      assert.deepEqual(this.events.splice(0), events);
    },
    stats: ({ stats }) => {
      const got = this.cache.stats();
      for (const [name, count] of Object.entries(stats)) assert.equal(got[STATS[name]], count, name);
    },
  };

  async step(step) {
    const named = Object.keys(step).filter((key) => key in this.verbs);
    assert.equal(named.length, 1, 'a step has one verb');
    const [verb] = named;
    onlyHas(step, [verb, ...(BESIDE[verb] ?? [])]);
    this.store.catchUp();
    if (step.after === undefined) await this.verbs[verb](step);
    else this.store.later.push({ when: performance.now() + step.after * this.scale, happen: () => this.verbs[verb](step) });
  }

  async end() {
    this.store.release();
    await this.cache.close();
  }
}

function onlyHas(object, names) {
  for (const name of Object.keys(object)) assert.ok(names.includes(name), `${name} is not understood`);
}

const kind = (error) => error.code.toLowerCase();
const plain = (value) => (typeof value === 'object' ? Buffer.from(value.bytes) : value);
const comparable = ({ value, error }) => ({ value: Buffer.isBuffer(value) ? [...value] : value, error });
const labels = (held, version) => Object.keys(held.stages).filter((label) => held.stages[label] === version);

describe('scenarios', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  assert.ok(files.length > 0, `no scenarios in ${FOLDER}`);
  for (const file of files) {
    const scenario = JSON.parse(readFileSync(join(FOLDER, file), 'utf8'));
    it(file.replace('.json', ''), async (t) => {
      onlyHas(scenario, [...FIELDS]);
      const { node } = scenario.runs;
      assert.ok(node === true || (typeof node === 'string' && node !== ''), 'it does not say whether it runs in Node');
      if (node !== true) return t.diagnostic(node);
      const world = new World(scenario);
      try {
        for (const [place, step] of scenario.steps.entries()) {
          await world.step(step).catch((error) => {
            error.message = `${scenario.title}: step ${place + 1}, ${JSON.stringify(step)}: ${error.message}`;
            throw error;
          });
        }
      } finally {
        await world.end();
      }
    });
  }

  it('fail on a step that is not understood', async () => {
    const world = new World({ store: {} });
    const unknown = [
      { raed: 'db' },
      { read: 'db', valeu: 'x' },
      { peek: 'db', error: 'x' },
      { close: true, after: 1 },
      { resource: { accept: [] } },
      { read: 'db', peek: 'db' },
    ];
    for (const step of unknown) await assert.rejects(world.step(step), assert.AssertionError);
    await world.end();
  });
});
