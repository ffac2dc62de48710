/** Several accounts in one cache. The endpoint uses a twelve-digit access key as the account; this test's STS issues them. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { it } from 'node:test';

import { SecretCache } from 'secretcache';

import { Endpoint } from './support.mjs';

const ROLE = 'arn:aws:iam::111122223333:role/reads-secrets';

/** Starts an STS that answers AssumeRole with the role's account, unless its name is `refused`. Returns a log of the calls. */
async function startSts(t) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const arn = form.get('RoleArn');
    asked.push([arn, form.get('ExternalId')]);
    if (arn.endsWith('/refused')) {
      response.writeHead(403, { 'content-type': 'text/xml' });
      return response.end(
        '<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>',
      );
    }
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <AssumedRoleUser><Arn>${arn}</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser><Credentials>
      <AccessKeyId>${arn.split(':')[4]}</AccessKeyId><SecretAccessKey>any</SecretAccessKey><SessionToken>any</SessionToken>
      <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${server.address().port}`;
  t.after(() => {
    delete process.env.AWS_ENDPOINT_URL_STS;
    server.close();
    server.closeAllConnections();
  });
  return asked;
}

it('secrets with a prefix are read as its role', async (t) => {
  const endpoint = await Endpoint.start(t);
  const asked = await startSts(t);
  await endpoint.create('own', 'ours');
  await endpoint.create('billing/key', 'theirs', {}, '111122223333');
  const roles = { 'billing/': { roleArn: ROLE, externalId: 'shop-42' }, 'locked/': ROLE.replace(/[^/]+$/, 'refused') };
  const cache = new SecretCache({ ...endpoint.options, roles });
  t.after(() => cache.close());
  assert.equal(await cache.getSecretString('billing/key'), 'theirs');
  assert.equal(await cache.getSecretString('own'), 'ours');
  assert.deepEqual(asked, [[ROLE, 'shop-42']]);
  await assert.rejects(cache.getSecretString('locked/key'), {
    code: 'ACCESS_DENIED',
    message: /the role arn:aws:iam::111122223333:role\/refused cannot be assumed: not authorized/,
  });
  await assert.rejects(cache.getSecretString('billing/own'), { code: 'SECRET_NOT_FOUND' });
});

it('caches with different roles are not shared', async (t) => {
  const endpoint = await Endpoint.start(t);
  await startSts(t);
  await endpoint.create('key', 'ours');
  await endpoint.create('key', 'theirs', {}, '111122223333');
  const caches = [{}, { roles: { key: ROLE } }].map((more) => new SecretCache({ ...endpoint.options, ...more }));
  t.after(() => caches.map((cache) => cache.close()));
  assert.deepEqual(await Promise.all(caches.map((cache) => cache.getSecretString('key'))), ['ours', 'theirs']);
});

it('creating a cache with an invalid role fails', () => {
  const made = (roles) => () => new SecretCache({ region: 'us-east-1', roles });
  assert.throws(made({ key: 'reads' }), { code: 'INVALID_CONFIGURATION', message: /"reads" is not an ARN/ });
  const many = Array.from({ length: 21 }, (_, number) => [`${number}/`, `${ROLE}${number}`]);
  assert.throws(made(Object.fromEntries(many)), { code: 'INVALID_CONFIGURATION', message: /at most 20/ });
  for (const wrong of ['key', { key: 1 }, { key: { arn: ROLE } }, { key: { roleArn: ROLE, externalID: 'x' } }]) {
    assert.throws(made(wrong), TypeError);
  }
  const client = { send: () => assert.fail('asked') };
  assert.throws(() => new SecretCache({ client, roles: { key: ROLE } }), /roles cannot be combined with client/);
});
