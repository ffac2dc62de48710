/**
 * Reads a secret a thousand times, with one call to the service.
 *
 *     node examples/read.mjs prod/checkout/db
 */

import { SecretCache } from 'secretcache';

const [id] = process.argv.slice(2);
if (id === undefined) throw new Error('usage: node read.mjs SECRET_ID');

const cache = new SecretCache();
cache.on('newVersion', ({ secretId, newVersionId }) => console.log(`${secretId} has rotated to ${newVersionId}`));

for (let read = 0; read < 1000; read += 1) await cache.getSecretString(id);

const { hits, apiCalls } = cache.stats();
console.log(`${hits} reads from memory, calls to the service: ${JSON.stringify(apiCalls)}`);
await cache.close();
