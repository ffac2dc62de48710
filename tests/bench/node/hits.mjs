/** Times warm reads, ours and others in turn; prints seconds per read, round by round, as JSON. */

import { getSecret } from '@aws-lambda-powertools/parameters/secrets';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SecretCache } from 'secretcache';

const ROUNDS = 15;
const READS = 100_000;
const IDS = Array.from({ length: 1000 }, (_, number) => `bench/${number}`);

/** Equal ids in new string objects, as a program gets them from requests. */
const fresh = () => IDS.map((id) => Buffer.from(id).toString());

const cache = new SecretCache();
const values = new Map();
await cache.prefetch(IDS);
for (const id of IDS) values.set(id, await cache.getSecretString(id));
const always = { maxAge: 3600 };
await getSecret(IDS[0], always);

// 136 bytes and 3.6 KB of JSON.
const service = new SecretsManagerClient({});
for (const [id, count] of Object.entries({ 'bench/small': 2, 'bench/large': 100 })) {
  const fields = Array.from({ length: count }, (_, n) => [`field-${100 + n}`, `value of field ${100 + n}`]);
  const secret = JSON.stringify({ password: 'p'.repeat(20), ...Object.fromEntries(fields) });
  await service.send(new CreateSecretCommand({ Name: id, SecretString: secret }));
  await cache.getSecretField(id, 'password');
}
service.destroy();
const strings = (id) => async (read) => {
  for (let n = 0; n < read; n += 1) await cache.getSecretString(id);
};
const fields = (id) => async (read) => {
  for (let n = 0; n < read; n += 1) await cache.getSecretField(id, 'password');
};

const kinds = {
  'map, awaited': async (read) => {
    for (let n = 0; n < read; n += 1) await values.get('bench/0');
  },
  'ours, awaited': async (read) => {
    for (let n = 0; n < read; n += 1) await cache.getSecretString('bench/0');
  },
  'map, awaited, 1000 ids': async (read, ids) => {
    for (let n = 0; n < read; n += 1) await values.get(ids[n % 1000]);
  },
  'ours, awaited, 1000 ids': async (read, ids) => {
    for (let n = 0; n < read; n += 1) await cache.getSecretString(ids[n % 1000]);
  },
  'map': (read) => {
    let length = 0;
    for (let n = 0; n < read; n += 1) length += values.get('bench/0').length;
    return length;
  },
  'peek': (read) => {
    let length = 0;
    for (let n = 0; n < read; n += 1) length += cache.peek('bench/0').length;
    return length;
  },
  'map, 1000 ids': (read, ids) => {
    let length = 0;
    for (let n = 0; n < read; n += 1) length += values.get(ids[n % 1000]).length;
    return length;
  },
  'peek, 1000 ids': (read, ids) => {
    let length = 0;
    for (let n = 0; n < read; n += 1) length += cache.peek(ids[n % 1000]).length;
    return length;
  },
  'small string': strings('bench/small'),
  'small field': fields('bench/small'),
  'large string': strings('bench/large'),
  'large field': fields('bench/large'),
  'powertools, awaited': async (read) => {
    for (let n = 0; n < read; n += 1) await getSecret('bench/0', always);
  },
};

const found = Object.fromEntries(Object.keys(kinds).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, work] of Object.entries(kinds)) {
    const ids = fresh();
    const begun = process.hrtime.bigint();
    await work(READS, ids);
    found[name].push(Number(process.hrtime.bigint() - begun) / READS / 1e9);
  }
}
await cache.close();
console.log(JSON.stringify(found));
