/** Redis servers that form a cluster or are watched by a sentinel. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Starts a server on loopback, without access control. */
export async function redisServer({ cluster = false, more = {} } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
  const [port, bus] = [await freePort(), await freePort()];
  const options = { port, bind: '127.0.0.1', dir: folder, save: '', ...more };
  if (cluster) Object.assign(options, { 'cluster-enabled': 'yes', 'cluster-port': bus });
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, ...[value].flat().map(String)]);
  const close = await start(folder, args, 'Ready to accept');
  return { socket: { host: '127.0.0.1', port }, bus, close };
}

/** Starts a sentinel that watches a server under a name. */
export async function sentinel(name, { port }) {
  const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
  const own = await freePort();
  const lines = [`port ${own}`, 'bind 127.0.0.1', `dir ${folder}`, `sentinel monitor ${name} 127.0.0.1 ${port} 1`];
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const close = await start(folder, [file, '--sentinel'], '+monitor');
  return { socket: { host: '127.0.0.1', port: own }, close };
}

async function start(folder, args, ready) {
  const child = spawn('redis-server', args);
  for await (const line of createInterface({ input: child.stdout })) if (line.includes(ready)) break;
  return async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
