/**
 * A PostgreSQL pool that stays connected while its password rotates.
 *
 *     node examples/pool.mjs prod/checkout/db localhost 5432 checkout
 */

import { SecretCache } from 'secretcache';
import { createPool } from 'secretcache/pg';

const [id, host, port, database] = process.argv.slice(2);
if (database === undefined) throw new Error('usage: node pool.mjs SECRET_ID HOST PORT DATABASE');

const cache = new SecretCache();
const pool = createPool(cache, id, { host, port: Number(port), database });
const { rows } = await pool.query('select current_user as name');
console.log(`connected as ${rows[0].name}`);
await pool.end();
await cache.close();
