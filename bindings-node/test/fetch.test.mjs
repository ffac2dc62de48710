/** `fetch` with an API key that rotates, against a real server. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { SecretCache } from 'secretcache';
import { createFetch } from 'secretcache/fetch';
import { Agent } from 'undici';

import { Endpoint, settle } from './support.mjs';

/** Starts a service that accepts one key and echoes the request. */
async function service(t) {
  const state = { key: 'first', refused: 0, refusal: 401, delayMs: 0 };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const known = request.headers.authorization === `Bearer ${state.key}`;
    if (!known) state.refused += 1;
    await pause(state.delayMs);
    response.writeHead(known ? 200 : state.refusal).end(known ? `${request.method} ${body}` : 'who are you?');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}/` });
}

describe('createFetch', () => {
  const world = async (t) => {
    const endpoint = await Endpoint.start(t);
    await endpoint.create('key', JSON.stringify({ apiKey: 'first' }));
    const cache = new SecretCache(endpoint.options);
    t.after(() => cache.close());
    const send = createFetch(
      cache,
      'key',
      (headers, secret) => headers.set('authorization', `Bearer ${secret.get('apiKey')}`),
      {
        timeoutMs: 1000,
      },
    );
    return { endpoint, cache, send, server: await service(t) };
  };

  it('sends the request again with the key that works, body included', async (t) => {
    const { endpoint, send, server } = await world(t);
    assert.equal(await (await send(server.url)).text(), 'GET ');
    await settle();
    await endpoint.put('key', JSON.stringify({ apiKey: 'second' }));
    server.key = 'second';
    const response = await send(server.url, { method: 'POST', body: 'charge' });
    assert.equal(await response.text(), 'POST charge');
    assert.equal(server.refused, 1);
    await send(server.url);
    assert.equal(server.refused, 1, 'the refusal is remembered');
  });

  it('uses the pending key between the steps of a rotation', async (t) => {
    const { endpoint, send, server } = await world(t);
    await send(server.url);
    await endpoint.put('key', JSON.stringify({ apiKey: 'pending' }), ['AWSPENDING']);
    server.key = 'pending';
    assert.equal((await send(server.url)).status, 200);
  });

  it('returns the service’s response if no key is accepted', async (t) => {
    const { send, server } = await world(t);
    server.key = 'nobody’s';
    const response = await send(server.url);
    assert.equal(response.status, 401);
    assert.equal(await response.text(), 'who are you?');
  });

  it('a service may take longer to respond than it may take to find a key', async (t) => {
    const { endpoint, cache, server } = await world(t);
    const authorize = (headers, secret) => headers.set('authorization', `Bearer ${secret.get('apiKey')}`);
    const send = createFetch(cache, 'key', authorize, { timeoutMs: 500 });
    server.delayMs = 600;
    assert.equal((await send(server.url)).status, 200);
    await endpoint.put('key', JSON.stringify({ apiKey: 'second' }));
    server.key = 'second';
    assert.equal((await send(server.url)).status, 200, 'a slow refusal leaves time for the new key');
    assert.equal(server.refused, 1);
    await assert.rejects(send(server.url, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
  });

  it('takes the given statuses as a refusal, instead of 401', async (t) => {
    const { cache, server } = await world(t);
    server.key = 'nobody’s';
    let sent = 0;
    const count = (request) => {
      sent += 1;
      return fetch(request);
    };
    const authorize = (headers, secret) => headers.set('authorization', `Bearer ${secret.get('apiKey')}`);
    const send = createFetch(cache, 'key', authorize, { fetch: count, rejectedStatuses: [403], timeoutMs: 1000 });
    assert.equal((await send(server.url)).status, 401);
    assert.equal(sent, 1, 'a 401 is the response');
    server.refusal = 403;
    assert.equal((await send(server.url)).status, 403);
    assert.equal((await send(server.url)).status, 403);
    assert.equal(sent, 3);
    assert.ok(cache.stats().logins.rejected > 0, 'a 403 is a refusal');
  });

  it('throws network errors unchanged', async (t) => {
    const { send } = await world(t);
    await assert.rejects(send('http://127.0.0.1:1/'), { name: 'TypeError', message: 'fetch failed' });
    await assert.rejects(send('http://127.0.0.1:1/', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });

  it('accepts a secret that is the key itself', async (t) => {
    const { endpoint, cache, server } = await world(t);
    await endpoint.create('plain', 'first');
    const send = createFetch(cache, 'plain', (headers, secret) =>
      headers.set('authorization', `Bearer ${secret.secretString}`),
    );
    assert.equal((await send(server.url)).status, 200);
  });

  it('N6: a refused response frees its connection, and a permanent refusal costs one extra request', async (t) => {
    const { endpoint, cache } = await world(t);
    await endpoint.put('key', JSON.stringify({ apiKey: 'other' }));
    await cache.refreshSecretNow('key');
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.writeHead(401).end('x'.repeat(300_000));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const agent = new Agent({ connections: 1 });
    t.after(() => agent.destroy());
    const send = createFetch(cache, 'key', (headers, secret) => headers.set('authorization', secret.get('apiKey')), {
      fetch: (request) => fetch(request, { dispatcher: agent }),
    });
    const begun = performance.now();
    const response = await send(`http://127.0.0.1:${server.address().port}/`);
    assert.equal(response.status, 401);
    assert.equal((await response.text()).length, 300_000);
    assert.equal(requests, 2);
    assert.ok(performance.now() - begun < 3000);
    const again = await send(`http://127.0.0.1:${server.address().port}/`);
    assert.equal(again.status, 401);
    await again.text();
    assert.equal(requests, 3, 'the refusal is remembered');
  });

  it('N11: a global fetch that is replaced later is used', async (t) => {
    const { send } = await world(t);
    const { fetch } = globalThis;
    t.after(() => (globalThis.fetch = fetch));
    globalThis.fetch = async () => new Response('stubbed');
    assert.equal(await (await send('https://payments.example/')).text(), 'stubbed');
  });
});
