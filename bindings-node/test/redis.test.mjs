/** Redis: clients, pools and a cluster, against real servers while passwords rotate. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { createClient as makeRedis } from 'redis';
import { isRejectedLogin, SecretCache } from 'secretcache';
import { createClient, createClientPool, createCluster } from 'secretcache/redis';

import { BETWEEN_STEPS_MS, database, quick, rotations, through } from './connected.mjs';
import { redisServer } from './redis.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually } from './support.mjs';

/**
 * Returns whether a command failed because the test closed its connection. `redis` can send such commands on the next
 * connection before it has logged in there, as with any asynchronous credentials provider.
 */
const isCut = (error) => /Socket closed|ECONNRESET|EPIPE|NOAUTH/.test(error.message);

describe('Redis', () => {
  let endpoint;
  let server;
  let admin;
  before(async () => {
    [endpoint, server] = await Promise.all([Endpoint.start(), database('redis')]);
    const { host, port, user: username, password } = server;
    admin = makeRedis({ username, password, socket: { host, port } });
    await admin.connect();
  });
  after(async () => {
    await admin?.close();
    await server?.close();
    await endpoint?.close();
  });

  const setPassword = (user, password) =>
    admin.sendCommand(['ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '+@all']);

  it('connects clients at all stages of rotations', async (t) => {
    const id = `redis-${randomUUID()}`;
    await setPassword('cacher', 'first');
    await endpoint.create(id, JSON.stringify({ username: 'cacher', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const { host, port } = server;
    const connectAndUse = async () => {
      const client = createClient(cache, id, { socket: { host, port } });
      client.on('error', (error) => assert.ok(isRejectedLogin(error), error));
      await client.connect();
      assert.equal(await client.sendCommand(['ACL', 'WHOAMI']), 'cacher');
      client.destroy();
    };
    const failures = await through(
      () => rotations(() => rotateSingleUser(endpoint, id, setPassword, BETWEEN_STEPS_MS)),
      connectAndUse,
    );
    assert.deepEqual(failures, []);
  });

  it('logs in again on a live connection when there is a new version', async (t) => {
    const id = `redis-${randomUUID()}`;
    await setPassword('live', 'first');
    await setPassword('live_clone', 'first');
    await endpoint.create(id, JSON.stringify({ username: 'live', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const client = createClient(cache, id, { socket: { host: server.host, port: server.port } });
    client.on('error', () => {});
    await client.connect();
    await rotateAlternatingUsers(endpoint, id, setPassword, 0);
    await eventually(async () => (await client.sendCommand(['ACL', 'WHOAMI'])) === 'live_clone');
    await client.close();
  });

  /** Creates two users with a secret, and a cache. */
  const world = async (t, user) => {
    const id = `redis-${randomUUID()}`;
    await setPassword(user, 'first');
    await setPassword(`${user}_clone`, 'first');
    await endpoint.create(id, JSON.stringify({ username: user, password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    return { id, cache };
  };
  const place = () => ({ socket: { host: server.host, port: server.port } });

  /** Returns how often the server has refused a login. */
  const refused = async () => Number(/errorstat_WRONGPASS:count=(\d+)/.exec(await admin.info('errorstats'))?.[1] ?? 0);

  for (const [name, rotate] of Object.entries({ single: rotateSingleUser, alternating: rotateAlternatingUsers })) {
    it(`serves a pool through ${name}-user rotations without a failure`, async (t) => {
      const { id, cache } = await world(t, `pool_${name}`);
      const pool = createClientPool(cache, id, place(), { minimum: 2, maximum: 6 });
      pool.on('error', (error) => assert.ok(isCut(error) || isRejectedLogin(error), error));
      await pool.connect();
      t.after(() => pool.close());
      const before = await refused();
      let turn = 0;
      let last;
      const failures = await through(
        async () => (last = (await rotations(() => rotate(endpoint, id, setPassword, BETWEEN_STEPS_MS))).at(-1)),
        async () => {
          assert.match(await pool.sendCommand(['ACL', 'WHOAMI']), /^pool_/);
          // Some connections are closed, so that the pool's clients log in at all stages of a rotation.
          if ((turn += 1) % 50 === 0) await admin.sendCommand(['CLIENT', 'KILL', 'USER', `pool_${name}`]);
          if (turn % 50 === 25) await admin.sendCommand(['CLIENT', 'KILL', 'USER', `pool_${name}_clone`]).catch(() => {});
        },
      );
      assert.deepEqual(
        failures.filter((error) => !isCut(error)),
        [],
      );
      await eventually(async () => (await pool.sendCommand(['ACL', 'WHOAMI'])) === last.username);
      t.diagnostic(`${(await refused()) - before} logins were refused`);
    });
  }

  it('logs in again on each connection of a pool before it is next used, and closes none', async (t) => {
    const { id, cache } = await world(t, 'calm');
    const pool = createClientPool(cache, id, place(), { minimum: 3, maximum: 3 });
    pool.on('error', (error) => assert.fail(error));
    await pool.connect();
    t.after(() => pool.close());
    const look = async () => {
      const each = () =>
        pool.execute(
          async (client) => `${await client.sendCommand(['CLIENT', 'ID'])} ${await client.sendCommand(['ACL', 'WHOAMI'])}`,
        );
      return (await Promise.all([each(), each(), each()])).sort();
    };
    const before = await look();
    const busy = pool.execute((client) => client.sendCommand(['BLPOP', 'never', '0.5']));
    await rotateAlternatingUsers(endpoint, id, setPassword, 0);
    const refusedBefore = await refused();
    await cache.refreshSecretNow(id);
    assert.equal(await busy, null, 'a command in progress finished normally');
    await eventually(async () => (await look()).every((each) => each.endsWith(' calm_clone')));
    assert.deepEqual(
      (await look()).map((each) => each.split(' ')[0]),
      before.map((each) => each.split(' ')[0]),
    );
    assert.equal(await refused(), refusedBefore);
  });

  it('fails with LOGIN_REJECTED if no version logs in', async (t) => {
    const { id, cache } = await world(t, 'locked');
    await setPassword('locked', 'another');
    const pool = createClientPool(cache, id, {
      socket: { ...place().socket, reconnectStrategy: false },
      connectTimeoutMs: 2000,
    });
    pool.on('error', () => {});
    await assert.rejects(pool.connect(), { code: 'LOGIN_REJECTED' });
  });
});

describe('a Redis cluster', () => {
  let endpoint;
  let node;
  let admin;
  before(async () => {
    [endpoint, node] = await Promise.all([Endpoint.start(), redisServer({ cluster: true })]);
    admin = makeRedis({ socket: node.socket });
    await admin.connect();
    await admin.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383']);
    await eventually(async () => (await admin.sendCommand(['CLUSTER', 'INFO'])).includes('cluster_state:ok'));
  });
  after(async () => {
    await admin?.close();
    await node?.close();
    await endpoint?.close();
  });

  it('of one node is served through rotations, and its connections log in again', async (t) => {
    const setPassword = (user, password) =>
      admin.sendCommand(['ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '+@all']);
    await setPassword('many', 'first');
    await endpoint.create('cluster', JSON.stringify({ username: 'many', password: 'first' }));
    const cache = new SecretCache({ ...endpoint.options, ...quick });
    t.after(() => cache.close());
    const make = async () => {
      const cluster = createCluster(cache, 'cluster', { rootNodes: [{ socket: node.socket }] });
      cluster.on('error', (error) => assert.ok(isRejectedLogin(error), error));
      await cluster.connect();
      return cluster;
    };
    const lasting = await make();
    t.after(() => lasting.close());
    const whoAmI = () => lasting.sendCommand(undefined, false, ['ACL', 'WHOAMI']);
    let last;
    const failures = await through(
      async () =>
        (last = (await rotations(() => rotateAlternatingUsers(endpoint, 'cluster', setPassword, BETWEEN_STEPS_MS))).at(-1)),
      async () => {
        await lasting.set('key', 'value');
        const cluster = await make();
        assert.equal(await cluster.get('key'), 'value');
        cluster.destroy();
      },
    );
    assert.deepEqual(failures, []);
    await eventually(async () => (await whoAmI()) === last.username);
  });
});
