/**
 * A Node program that keeps connecting: `connected.mjs INTEGRATION SECRET HOST PORT WORKERS PAUSE`.
 *
 * It prints "ready" once it has connected. Each line of input names the phase that begins. At the end of its input, it
 * prints its report as one line of JSON, like `tests/connected/client.py`, and exits.
 */

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../../bindings-node/', import.meta.url)));
const { isRejectedLogin, SecretCache } = require('secretcache');

const [name, secret, host, portText, workers, pauseSeconds] = process.argv.slice(2);
const place = { host, port: Number(portText) };
const cache = new SecretCache({ logger: null });

/** Each opens a connection, runs a query and disconnects. */
const INTEGRATIONS = {
  pg: () => {
    const pg = require('pg');
    return async () => {
      const client = await cache.connect(secret, async ({ username, password }) => {
        const client = new pg.Client({ ...place, user: username, password, database: 'postgres' });
        await client.connect();
        return client;
      });
      await client.query('select current_user');
      await client.end();
    };
  },
  pg_pool: () => {
    const pool = require('secretcache/pg').createPool(cache, secret, { ...place, database: 'postgres', maxUses: 1 });
    return () => pool.query('select current_user');
  },
  pg_knex: () => knex('pg', { ...place, database: 'postgres' }, 'select current_user'),
  mysql2: () => {
    const mysql = require('mysql2/promise');
    return async () => {
      const connection = await cache.connect(secret, ({ username, password }) =>
        mysql.createConnection({ ...place, user: username, password }),
      );
      await connection.query('select current_user()');
      await connection.end();
    };
  },
  mysql2_pool: () => {
    const pool = require('secretcache/mysql2').createPool(cache, secret, place);
    return async () => {
      const connection = await pool.getConnection();
      await connection.query('select current_user()');
      connection.destroy();
    };
  },
  mysql2_knex: () => knex('mysql2', place, 'select current_user()'),
  redis: () => {
    const { createClient } = require('secretcache/redis');
    return async () => {
      const client = createClient(cache, secret, { socket: place });
      // Refused logins are emitted as errors, and the client survives them.
      client.on('error', () => {});
      try {
        await client.connect();
        await client.sendCommand(['PING']);
      } finally {
        client.destroy();
      }
    };
  },
};

function knex(client, connection, question) {
  const { createKnex } = require('secretcache/knex');
  return async () => {
    const knex = createKnex(cache, secret, { client, connection, pool: { min: 0, max: 1 } });
    try {
      await knex.raw(question);
    } finally {
      await knex.destroy();
    }
  };
}

/** Counters and waits by phase. Waits are in seconds. */
const phases = {};
let phase;
let calls = 0;

function begin(name) {
  end();
  phase = phases[name] ??= { connects: 0, failures: [], waits: [], refused: 0, refused_late: 0, calls: 0 };
}

function end() {
  const now = Object.values(cache.stats().apiCalls).reduce((sum, count) => sum + count, 0);
  if (phase !== undefined) phase.calls += now - calls;
  calls = now;
}

/** When each version was first refused. */
const refused = new Map();

// Every login goes through here, including those of pools.
const connect = cache.connect.bind(cache);
cache.connect = async (id, login, options) => {
  const begun = performance.now();
  let started = begun;
  const observed = async (credential, signal) => {
    started = performance.now();
    try {
      return await login(credential, signal);
    } catch (error) {
      if (isRejectedLogin(error)) {
        phase.refused += 1;
        const known = refused.get(credential.versionId);
        if (known === undefined) refused.set(credential.versionId, performance.now());
        else if (started > known) phase.refused_late += 1;
      }
      throw error;
    }
  };
  const connection = await connect(id, observed, options);
  phase.waits.push((started - begun) / 1000);
  return connection;
};

let ended = false;
begin('start');
const operate = INTEGRATIONS[name]();
await operate();
console.log('ready');
const lines = createInterface({ input: process.stdin });
lines.on('line', begin);
lines.on('close', () => (ended = true));

async function work() {
  while (!ended) {
    await operate().then(
      () => (phase.connects += 1),
      (error) => phase.failures.length < 100 && phase.failures.push(`${error.name}: ${error.message}`),
    );
    await pause(Number(pauseSeconds) * 1000);
  }
}
await Promise.all(Array.from({ length: Number(workers) }, work));
end();
for (const each of Object.values(phases)) each.waits.sort((one, other) => one - other);
const report = JSON.stringify({ name, phases, rejected: cache.stats().logins.rejected });
process.stdout.write(`${report}\n`, () => process.exit()); // without closing the pools
