/** Times reads, one in a hundred of a new secret, with and without evictions; prints seconds per read as JSON. */

import { SecretCache } from 'secretcache';

const ROUNDS = 15;
const READS = 20_000;
const HOT = Array.from({ length: 99 }, (_, number) => `hot/${number}`);

const send = async ({ input }) => ({ ARN: `arn:${input.SecretId}`, VersionId: 'v1', SecretString: 'value' });
const caches = {
  'with evictions': new SecretCache({ client: { send }, logger: null, maxSize: 400 }),
  'without': new SecretCache({ client: { send }, logger: null, maxSize: ROUNDS * READS }),
};

const found = Object.fromEntries(Object.keys(caches).map((name) => [name, []]));
for (let round = -1; round < ROUNDS; round += 1) {
  for (const [name, cache] of Object.entries(caches)) {
    // Cached before the measurement, as in a program that has been running for a while.
    for (const id of HOT) await cache.getSecretString(id);
    cache.stats();
    const begun = process.hrtime.bigint();
    for (let n = 0; n < READS / 100; n += 1) {
      await cache.getSecretString(`passing/${round}/${n}`);
      for (const id of HOT) await cache.getSecretString(id);
    }
    // The first round fills the small cache.
    if (round >= 0) found[name].push(Number(process.hrtime.bigint() - begun) / READS / 1e9);
  }
}
const { evictions } = caches['with evictions'].stats();
if (evictions < (ROUNDS - 2) * (READS / 100)) throw new Error(`only ${evictions} evictions`);
for (const cache of Object.values(caches)) await cache.close();
console.log(JSON.stringify(found));
