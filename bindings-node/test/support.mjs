/** Helpers for tests: an endpoint with secrets, and functions to wait. */

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const require = createRequire(import.meta.url);
export const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
export const ROOT = dirname(PACKAGE);
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');

/** Tests use refresh intervals of milliseconds. */
require('../lib/settings.js').limits.shortestIntervalMs = 0;

/** Starts a program of this repository, and waits for the first line of its output. `close` stops it. */
export async function start(program, args, stop = (child) => child.kill()) {
  const child = spawn(join(TARGET, 'debug', program), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.on('error', (error) => {
    throw new Error(`${program} cannot be started (build it with cargo build): ${error.message}`);
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([status]) => {
      throw new Error(`${program} ended with ${status} before it was ready`);
    }),
  ]);
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    stop(child);
    await ended;
  };
  return { line, close };
}

/** A Secrets Manager on loopback. */
export class Endpoint {
  static async start(t) {
    const { line, close } = await start('secretcache', ['local', '--port', '0', '--control']);
    t?.after(close);
    return new Endpoint(line.split(' ').at(-1), close);
  }

  constructor(url, close) {
    this.url = url;
    this.close = close;
  }

  /** The options with which a native cache connects to it. */
  get options() {
    return {
      endpoint: this.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'any' },
      logger: null,
    };
  }

  /** The environment variables with which any AWS client connects to it. */
  get environment() {
    return {
      AWS_ENDPOINT_URL: this.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'any',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
  }

  async call(operation, input, account = 'AKIDEXAMPLE') {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `secretsmanager.${operation}`,
        authorization: `AWS4-HMAC-SHA256 Credential=${account}/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(input),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(`${operation}: ${JSON.stringify(body)}`);
    return body;
  }

  async create(name, value, more = {}, account = undefined) {
    const kind = typeof value === 'string' ? { SecretString: value } : { SecretBinary: Buffer.from(value).toString('base64') };
    return this.call('CreateSecret', { Name: name, ClientRequestToken: randomUUID(), ...kind, ...more }, account);
  }

  async put(name, value, stages = ['AWSCURRENT']) {
    return this.call('PutSecretValue', {
      SecretId: name,
      SecretString: value,
      VersionStages: stages,
      ClientRequestToken: randomUUID(),
    });
  }

  async control(method, path, body) {
    const response = await fetch(`${this.url}/_control/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }

  /** Adds a fault. */
  fault(rule) {
    return this.control('POST', 'faults', rule);
  }

  /** Removes all faults. */
  restore() {
    return this.control('DELETE', 'faults');
  }

  /** Returns how often each operation was called. */
  async calls() {
    return this.control('GET', 'calls');
  }
}

/**
 * Waits until a connect attempt fetches a version again: it skips what was confirmed within the last second. Tests rotate
 * faster than that, real rotations do not.
 */
export const settle = () => new Promise((resolve) => setTimeout(resolve, 1100));

/** Waits until a condition holds. If it never does, the test runner's timeout ends the wait. */
export async function eventually(holds) {
  for (;;) {
    const result = await holds();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Runs Node with a script, and returns its output, status and duration. */
export async function run(args, { env = {}, cwd = PACKAGE, input } = {}) {
  const begun = performance.now();
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  child.stdin.end(input);
  const [status, signal] = await once(child, 'close');
  return { stdout, stderr, status, signal, ms: performance.now() - begun };
}
