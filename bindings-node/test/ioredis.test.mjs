/** ioredis and BullMQ, against a real server while passwords rotate. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { inspect } from 'node:util';

import { Queue, Worker } from 'bullmq';
import { Redis as Redis5 } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { SecretCache } from 'secretcache';
import { createRedis } from 'secretcache/ioredis';

import { BETWEEN_STEPS_MS, database, quick, rotations, through } from './connected.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually } from './support.mjs';

const STRATEGIES = { single: rotateSingleUser, alternating: rotateAlternatingUsers };

for (const [version, Redis] of Object.entries({ 'ioredis 5': Redis5, 'ioredis 6': Redis6 })) {
  describe(version, () => {
    let endpoint;
    let server;
    let admin;
    before(async () => {
      [endpoint, server] = await Promise.all([Endpoint.start(), database('redis')]);
      admin = new Redis5({ host: server.host, port: server.port, username: server.user, password: server.password });
    });
    after(async () => {
      admin?.disconnect();
      await server?.close();
      await endpoint?.close();
    });

    const setPassword = (user, password) =>
      admin.call('ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '&*', '+@all');

    /** Creates a user with a secret, and returns a function that makes clients for it. */
    const world = async (t, user) => {
      const id = `redis-${randomUUID()}`;
      await setPassword(user, 'f1rst-canary');
      await setPassword(`${user}_clone`, 'f1rst-canary');
      await endpoint.create(id, JSON.stringify({ username: user, password: 'f1rst-canary' }));
      const cache = new SecretCache({ ...endpoint.options, ...quick });
      t.after(() => cache.close());
      const make = (options = {}) => {
        const client = createRedis(cache, id, { host: server.host, port: server.port, ...options }, Redis);
        client.on('error', (error) => client.errors.push(error));
        client.errors = [];
        t.after(() => client.disconnect());
        return client;
      };
      return { id, cache, make };
    };
    const kill = (user) => admin.call('CLIENT', 'KILL', 'USER', user).catch(() => {});

    for (const [strategy, rotate] of Object.entries(STRATEGIES)) {
      it(`serves commands through ${strategy}-user rotations, at every connection`, async (t) => {
        const { id, make } = await world(t, `io_${strategy}`);
        const lasting = make({ maxRetriesPerRequest: null });
        let turn = 0;
        let last;
        const failures = await through(
          async () => {
            last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1);
          },
          async () => {
            assert.match(await lasting.call('ACL', 'WHOAMI'), /^io_/);
            const client = make();
            assert.match(await client.call('ACL', 'WHOAMI'), /^io_/);
            client.disconnect();
            // Some connections are closed, so that the lasting client logs in at all stages of a rotation.
            turn += 1;
            if (turn % 20 === 0) await Promise.all([kill(`io_${strategy}`), kill(`io_${strategy}_clone`)]);
          },
        );
        // Ignores commands that were in flight on a connection the test itself closed.
        assert.deepEqual(
          failures.filter((error) => !/Connection is closed|ECONNRESET|EPIPE/.test(error.message)),
          [],
        );
        await eventually(async () => (await lasting.call('ACL', 'WHOAMI').catch(() => '')) === last.username);
      });
    }

    it('subscribes, duplicates and waits for new versions', async (t) => {
      const { id, cache, make } = await world(t, 'subscribed');
      const publisher = make();
      const subscriber = publisher.duplicate();
      t.after(() => subscriber.disconnect());
      const heard = [];
      subscriber.on('message', (_, message) => heard.push(message));
      await subscriber.subscribe('news');
      const blocking = publisher.duplicate();
      t.after(() => blocking.disconnect());
      const waiting = blocking.blpop('list', 0);
      await rotateAlternatingUsers(endpoint, id, setPassword, 0);
      await cache.refreshSecretNow(id);
      await eventually(async () => (await publisher.call('ACL', 'WHOAMI')) === 'subscribed_clone');
      await publisher.publish('news', 'one');
      await publisher.rpush('list', 'item');
      assert.deepEqual(await waiting, ['list', 'item']);
      await eventually(() => heard.length === 1);
      await kill('subscribed');
      await eventually(async () => (await publisher.publish('news', 'two')) === 1);
      await eventually(() => heard.includes('two'));
    });

    it('S4: no log shows the password, not even after a refused login', async (t) => {
      const { id, cache, make } = await world(t, 'logged');
      const client = make();
      await client.ping();
      const refused = [];
      await setPassword('logged', 'another');
      const broken = createRedis(
        cache,
        id,
        { host: server.host, port: server.port, retryStrategy: null, connectTimeoutMs: 500 },
        Redis,
      );
      broken.on('error', (error) => refused.push(error));
      await assert.rejects(broken.ping());
      await eventually(() => refused.length > 0);
      for (const each of [client, broken, client.options, client.condition, refused]) {
        const shown = inspect(each, { depth: 8, showHidden: false }) + inspect({ ...each }, { depth: 4 });
        assert.doesNotMatch(shown, /f1rst-canary/);
      }
      assert.equal(refused[0].code, 'LOGIN_REJECTED');
    });

    it('BullMQ runs every job once during rotations', async (t) => {
      const { id, make } = await world(t, 'bull');
      const connection = make({ maxRetriesPerRequest: null });
      const queue = new Queue('mail', { connection });
      const done = [];
      const errors = [];
      const worker = new Worker('mail', async (job) => void done.push(job.data.number), {
        connection,
        concurrency: 4,
        stalledInterval: 60_000,
      });
      worker.on('error', (error) => errors.push(error));
      queue.on('error', (error) => errors.push(error));
      t.after(async () => {
        await worker.close(true);
        await queue.close();
      });
      let number = 0;
      const failures = await through(
        () => rotations(() => rotateAlternatingUsers(endpoint, id, setPassword, BETWEEN_STEPS_MS)),
        async () => {
          number += 1;
          await queue.add('job', { number });
        },
      );
      assert.deepEqual([failures, errors], [[], []]);
      await eventually(() => done.length >= number);
      assert.deepEqual(
        done.sort((a, b) => a - b),
        Array.from({ length: number }, (_, index) => index + 1),
      );
    });
  });
}
