/** `secretcache local`, a Secrets Manager endpoint for tests with node:test, Vitest and Jest. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';

/** Options for starting the endpoint. */
export interface LocalOptions {
  /** Options of the command, such as `['--seed', 'test/secrets.toml']`. */
  args?: readonly string[] | undefined;
  /** The command. Default: the environment variable `SECRETCACHE_BIN`, or `secretcache` on the `PATH`. */
  command?: string | undefined;
}

/** The hooks of a test runner: `before` and `after` of node:test are `beforeAll` and `afterAll` of Vitest and Jest. */
export interface TestHooks {
  before: (run: () => Promise<void>) => unknown;
  beforeEach: (run: () => Promise<void>) => unknown;
  after: (run: () => Promise<void>) => unknown;
}

/** A fault: which requests it affects, and what happens to them. */
export interface Fault {
  effect?:
    | 'throttle'
    | 'deny'
    | 'reset'
    | 'hang'
    | 'malformed'
    | { error: { type: string; message?: string; status?: number } }
    | { stale: { seconds: number } }
    | undefined;
  /** The operations it affects, such as `GetSecretValue`. Default: all. */
  operations?: readonly string[] | undefined;
  /** The secret it affects, by name or ARN. */
  secret_id?: string | undefined;
  /** How many requests pass unaffected first. */
  after?: number | undefined;
  /** How many requests it affects. */
  times?: number | undefined;
  /** How long the response is delayed, in milliseconds. */
  delay_ms?: number | undefined;
  /** Whether the operation takes effect and only its response is lost. */
  applied?: boolean | undefined;
}

/** An event of a rotation. */
export interface RotationEvent {
  time: number;
  event: string;
  secret_arn: string;
  secret_name: string;
  version_id: string;
  step?: string;
  message?: string;
  retry_at?: number;
}

/** A running `secretcache local --control`, with its control requests as methods. */
export class LocalEndpoint {
  #child: ChildProcess;
  #region: string;
  #certificate: string | undefined;

  private constructor(
    child: ChildProcess,
    /** The endpoint to give to clients. */
    readonly url: string,
    args: readonly string[],
  ) {
    this.#child = child;
    this.#region = optionIn('--region', args) ?? 'us-east-1';
    this.#certificate = optionIn('--tls-cert', args);
  }

  /**
   * Starts an endpoint on a free loopback port. It sets no environment variables: set those in `environment`, or clients
   * connect to AWS. `secretcacheLocal` sets them.
   *
   * @throws {Error} If the command is missing or does not start.
   */
  static async start({ args = [], command }: LocalOptions = {}): Promise<LocalEndpoint> {
    const program = command ?? process.env.SECRETCACHE_BIN ?? 'secretcache';
    const child = spawn(program, ['local', '--port', '0', '--control', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const failed = once(child, 'error').then(([error]) => {
      throw new Error(
        `${program} cannot be started (${(error as Error).message}): install the command, or set SECRETCACHE_BIN to its path`,
      );
    });
    const ended = once(child, 'exit').then(([status]) => {
      throw new Error(`secretcache local ended with status ${status} before it was ready`);
    });
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([once(lines, 'line'), failed, ended]);
    for (const promise of [failed, ended]) promise.catch(() => undefined);
    child.unref();
    return new LocalEndpoint(child, String(first[0]).split(' ').at(-1) ?? '', args);
  }

  /**
   * The environment variables that point AWS SDKs to the endpoint, with dummy credentials. `NO_PROXY` makes requests
   * bypass a proxy. With `--tls-cert`, `AWS_CA_BUNDLE` is that file: the certificate must be self-signed, or the file
   * must also contain its CA certificates. AWS's SDK for JavaScript reads only `NODE_EXTRA_CA_CERTS`, when Node starts.
   */
  get environment(): Record<string, string> {
    const found: Record<string, string> = {
      AWS_ENDPOINT_URL_SECRETS_MANAGER: this.url,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_REGION: this.#region,
      AWS_DEFAULT_REGION: this.#region,
    };
    const host = new URL(this.url).hostname;
    let direct = process.env.no_proxy || process.env.NO_PROXY || '';
    if (direct !== '*' && !direct.split(',').includes(host)) direct = direct ? `${direct},${host}` : host;
    Object.assign(found, { NO_PROXY: direct, no_proxy: direct });
    if (this.#certificate !== undefined) found.AWS_CA_BUNDLE = this.#certificate;
    return found;
  }

  /** Stops the endpoint. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }

  /** Restores the initial state: the seed's secrets, the real time, and no faults, counts or events. */
  async reset(): Promise<void> {
    await this.#control('POST', 'reset', {});
  }

  /** Adds a fault, and returns the number that `clearFaults` takes. */
  async fault(fault: Fault): Promise<number> {
    return ((await this.#control('POST', 'faults', fault)) as { id: number }).id;
  }

  /** Removes one fault, or all. */
  async clearFaults(id?: number): Promise<void> {
    await this.#control('DELETE', id === undefined ? 'faults' : `faults/${id}`);
  }

  /** Moves the endpoint's clock forward. */
  async advance(seconds: number): Promise<void> {
    await this.#control('POST', 'clock', { advance_seconds: seconds });
  }

  /** Stops the endpoint's clock, at the current or a given time. */
  async freeze(at?: Date): Promise<void> {
    await this.#control('POST', 'clock', { freeze: true, ...(at && { at: at.getTime() / 1000 }) });
  }

  /** Starts the endpoint's clock again. */
  async unfreeze(): Promise<void> {
    await this.#control('POST', 'clock', { freeze: false });
  }

  /** Moves the clock to a secret's next rotation, waits for it to end, and returns the event that reports it. */
  async nextRotation(secretId: string, timeoutMs = 60_000): Promise<RotationEvent> {
    const body = { secret_id: secretId, timeout_seconds: timeoutMs / 1000 };
    return (await this.#control('POST', 'next_rotation', body)) as RotationEvent;
  }

  /** Returns the rotation events, oldest first. */
  async events(): Promise<RotationEvent[]> {
    return ((await this.#control('GET', 'events')) as { events: RotationEvent[] }).events;
  }

  /** Returns every secret with its versions and labels, without values. */
  async secrets(): Promise<Array<Record<string, unknown>>> {
    return ((await this.#control('GET', 'secrets')) as { secrets: Array<Record<string, unknown>> }).secrets;
  }

  /** Returns how often each operation was called, by outcome. */
  async calls(): Promise<Record<string, Record<string, number>>> {
    return (await this.#control('GET', 'calls')) as Record<string, Record<string, number>>;
  }

  async #control(method: string, path: string, body?: unknown): Promise<unknown> {
    // Not `fetch`: this trusts exactly the given certificate, and uses no proxy.
    const options = { method, agent: false, headers: { 'content-type': 'application/json' } } as const;
    const url = `${this.url}/_control/${path}`;
    const sent: ClientRequest =
      this.#certificate === undefined
        ? httpRequest(url, options)
        : httpsRequest(url, {
            ...options,
            ca: readFileSync(this.#certificate),
            allowPartialTrustChain: true,
            checkServerIdentity: () => undefined,
          });
    const responding = once(sent, 'response');
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await responding) as [IncomingMessage];
    const answer = (await json(response)) as { error?: string };
    if (response.statusCode !== 200) throw new Error(answer.error ?? `status ${response.statusCode}`);
    return answer;
  }
}

/** Returns the value of a command-line option, in either form: `--region X` or `--region=X`. */
function optionIn(option: string, args: readonly string[]): string | undefined {
  const joined = args.find((arg) => arg.startsWith(`${option}=`));
  if (joined !== undefined) return joined.slice(option.length + 1);
  const at = args.indexOf(option);
  return at < 0 ? undefined : args[at + 1];
}

/**
 * Provides one endpoint for the tests of a file: it is started before them, reset before each, and stopped after them.
 * While it runs, environment variables point AWS SDKs to it.
 *
 * ```js
 * import { after, before, beforeEach, test } from 'node:test'; // Vitest, Jest: { before: beforeAll, beforeEach, after: afterAll }
 * import { secretcacheLocal } from 'secretcache/testing';
 *
 * const local = secretcacheLocal({ before, beforeEach, after }, { args: ['--seed', 'test/secrets.toml'] });
 *
 * test('a throttled read is tried again', async () => {
 *   await local().fault({ effect: 'throttle', times: 1 });
 *   // … clients find the endpoint through the environment …
 * });
 * ```
 *
 * @returns A function that returns the endpoint once it has started.
 */
export function secretcacheLocal(hooks: TestHooks, options: LocalOptions = {}): () => LocalEndpoint {
  let endpoint: LocalEndpoint | undefined;
  const outside = new Map<string, string | undefined>();
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  hooks.before(async () => {
    endpoint = await LocalEndpoint.start(options);
    const gone = {
      AWS_PROFILE: undefined,
      AWS_SESSION_TOKEN: undefined,
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: undefined,
    };
    for (const [name, value] of Object.entries({ ...gone, ...endpoint.environment })) {
      outside.set(name, process.env[name]);
      set(name, value);
    }
  });
  hooks.beforeEach(async () => {
    await endpoint?.reset();
  });
  hooks.after(async () => {
    for (const [name, value] of outside) set(name, value);
    await endpoint?.close();
  });
  return () => {
    if (endpoint === undefined) throw new Error('the endpoint has not started yet: use it inside a test or a hook');
    return endpoint;
  };
}
