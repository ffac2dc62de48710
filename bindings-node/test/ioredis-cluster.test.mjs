/** ioredis with a cluster of three nodes, and with a sentinel, while passwords rotate. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Redis as Redis5 } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { SecretCache } from 'secretcache';
import { createCluster, createRedis } from 'secretcache/ioredis';

import { BETWEEN_STEPS_MS, quick, rotations, through } from './connected.mjs';
import { redisServer, sentinel } from './redis.mjs';
import { rotateAlternatingUsers, rotateSingleUser } from './rotation.mjs';
import { Endpoint, eventually } from './support.mjs';

const STRATEGIES = { single: rotateSingleUser, alternating: rotateAlternatingUsers };
const VERSIONS = { 'ioredis 5': Redis5, 'ioredis 6': Redis6 };

/** Runs servers for the tests of a suite. Returns them with a function that sets a password on each. */
function served(start) {
  const all = { servers: [], admins: [] };
  before(async () => {
    all.endpoint = await Endpoint.start();
    Object.assign(all, await start());
    all.admins = all.servers.map(({ socket }) => new Redis5(socket));
  });
  after(async () => {
    for (const admin of all.admins) admin.disconnect();
    for (const each of [...(all.watchers ?? []), ...all.servers]) await each.close();
    await all.endpoint?.close();
  });
  all.setPassword = async (user, password) => {
    for (const admin of all.admins)
      await admin.call('ACL', 'SETUSER', user, 'on', 'resetpass', `>${password}`, '~*', '&*', '+@all');
  };
  /** Creates a user with a secret, and a cache. */
  all.world = async (t, user) => {
    for (const each of [user, `${user}_clone`]) await all.setPassword(each, 'first');
    await all.endpoint.create(user, JSON.stringify({ username: user, password: 'first' }));
    const cache = new SecretCache({ ...all.endpoint.options, ...quick });
    t.after(() => cache.close());
    return cache;
  };
  return all;
}

describe('a cluster of ioredis', () => {
  const all = served(async () => {
    const servers = await Promise.all([1, 2, 3].map(() => redisServer({ cluster: true })));
    const nodes = servers.map(({ socket }) => new Redis5(socket));
    for (const [index, node] of nodes.entries()) {
      const [first, last] = [Math.floor((16384 * index) / 3), Math.floor((16384 * (index + 1)) / 3) - 1];
      await node.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
      await nodes[0].call('CLUSTER', 'MEET', '127.0.0.1', servers[index].socket.port, servers[index].bus);
    }
    for (const node of nodes) {
      await eventually(async () => {
        const info = await node.call('CLUSTER', 'INFO');
        return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
      });
      node.disconnect();
    }
    return { servers };
  });

  for (const [version, Redis] of Object.entries(VERSIONS)) {
    for (const [strategy, rotate] of Object.entries(STRATEGIES)) {
      it(`serves commands through ${strategy}-user rotations, with ${version}`, async (t) => {
        const user = `cluster${version.at(-1)}_${strategy}`;
        const cache = await all.world(t, user);
        const make = () => {
          const cluster = createCluster(cache, user, [all.servers[0].socket], {}, Redis);
          cluster.on('error', () => {});
          t.after(() => cluster.disconnect());
          return cluster;
        };
        const lasting = make();
        const subscriber = make().duplicate();
        t.after(() => subscriber.disconnect());
        const heard = [];
        subscriber.on('error', () => {});
        subscriber.on('message', (_, message) => heard.push(message));
        await subscriber.subscribe('news');
        let number = 0;
        let last;
        const failures = await through(
          async () => {
            last = (await rotations(() => rotate(all.endpoint, user, all.setPassword, BETWEEN_STEPS_MS))).at(-1);
          },
          async () => {
            number += 1;
            assert.equal(await lasting.set(`key-${number}`, 'value'), 'OK');
            const cluster = make();
            assert.equal(await cluster.get(`key-${number}`), 'value');
            cluster.disconnect();
          },
        );
        assert.deepEqual(failures, []);
        await eventually(async () => (await lasting.nodes('master')[0].call('ACL', 'WHOAMI')) === last.username);
        await eventually(async () => {
          await lasting.publish('news', 'one');
          return heard.includes('one');
        });
      });
    }
  }
});

describe('ioredis behind a sentinel', () => {
  const all = served(async () => {
    const master = await redisServer();
    const replica = await redisServer({ more: { replicaof: ['127.0.0.1', master.socket.port] } });
    return { servers: [master, replica], watchers: [await sentinel('primary', master.socket)] };
  });

  for (const [version, Redis] of Object.entries(VERSIONS)) {
    for (const [strategy, rotate] of Object.entries(STRATEGIES)) {
      it(`serves commands through ${strategy}-user rotations, with ${version}`, async (t) => {
        const user = `sentinel${version.at(-1)}_${strategy}`;
        const cache = await all.world(t, user);
        const make = () => {
          const place = { sentinels: [all.watchers[0].socket], name: 'primary', maxRetriesPerRequest: null };
          const client = createRedis(cache, user, place, Redis);
          client.on('error', () => {});
          t.after(() => client.disconnect());
          return client;
        };
        const lasting = make();
        let last;
        const failures = await through(
          async () => {
            last = (await rotations(() => rotate(all.endpoint, user, all.setPassword, BETWEEN_STEPS_MS))).at(-1);
          },
          async () => {
            assert.match(await lasting.call('ACL', 'WHOAMI'), /^sentinel/);
            const client = make();
            assert.equal((await client.role())[0], 'master');
            client.disconnect();
          },
        );
        assert.deepEqual(failures, []);
        await eventually(async () => (await lasting.call('ACL', 'WHOAMI')) === last.username);
      });
    }
  }
});
