/** The public cache class. */

import { EventEmitter } from 'node:events';
import { isPromise } from 'node:util/types';

import type { CacheEvent } from './binding';
import { type ConnectOptions, connect } from './connect';
import { codeOf, SecretCacheError } from './errors';
import type { SecretCacheEvents } from './events';
import { checkOptions, describe, type Hints } from './options';
import { type Entry, Reader } from './reader';
import { type Logger, readDuration, readOptions, type SecretCacheOptions } from './settings';
import type { Stats } from './stats';
import type { Credential, SecretValue } from './value';
import { orAborted } from './waiting';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Which version to read, how old it may be, and how long to wait. */
export interface GetOptions {
  /** The staging label of the version. Default: the cache's `versionStage`. */
  versionStage?: string | undefined;
  /** The id of the version, whatever its labels. */
  versionId?: string | undefined;
  /**
   * How old the value may be, in milliseconds since its last successful refresh. An older value is refreshed first; if
   * that fails, the read fails. 0 asks the service. Default: no limit; the cache refreshes in the background.
   */
  maxAgeMs?: number | undefined;
  /** Ends the wait with the signal's reason. The request itself continues for other readers. */
  signal?: AbortSignal | undefined;
}

/** A handle that makes a secret count as in use, and keeps it refreshed, until it is closed. */
export interface Watch {
  /** Ends the watch. */
  close(): void;
}

/**
 * A cache that returns secrets from memory and refreshes them in the background.
 *
 * ```js
 * import { SecretCache } from 'secretcache';
 *
 * const cache = new SecretCache({ region: 'eu-central-1' });
 * const { username, password } = await cache.getSecretJson('prod/checkout/db');
 * ```
 *
 * Nothing starts before the first read. Any number of concurrent reads of one secret make one request. A value in use
 * is refreshed in the background; if the service is unreachable, you keep the last known value. Background work never
 * keeps the process alive. Without a `client`, caches with the same settings in different worker threads are one cache.
 */
export class SecretCache extends EventEmitter<SecretCacheEvents> {
  readonly #reader: Reader;
  readonly #logger: Logger | null | undefined;

  /** @throws {TypeError | SecretCacheError} If an option is wrong; the message names it and suggests the right one. */
  constructor(options?: SecretCacheOptions) {
    super();
    // Each pool adds a listener, and the number of pools has no limit.
    this.setMaxListeners(0);
    const read = readOptions(options);
    this.#logger = read.logger;
    const self = new WeakRef(this);
    this.#reader = new Reader(read, (event) => {
      const cache = self.deref();
      if (cache !== undefined) cache.#onEvent(event);
    });
    // Keeps the cache alive while its reader is alive.
    owners.set(this.#reader, this);
  }

  /**
   * Reads the secret string, from memory or with one request for all concurrent reads.
   *
   * ```js
   * const key = await cache.getSecretString('prod/payments/key', { signal: AbortSignal.timeout(500) });
   * ```
   *
   * @throws {SecretCacheError} If there is no value to serve; `code` says why. `WRONG_TYPE` for a binary secret. {@link
   * TypeError} for wrong arguments; the signal's reason when it is aborted.
   */
  getSecretString(id: string, options?: GetOptions): Promise<string> {
    if (options === undefined) {
      const string = this.#reader.hit(id)?.string;
      if (string !== undefined) return string;
    }
    return this.#read(id, options).then(stringOf);
  }

  /**
   * Reads the secret binary. The caller may change the buffer.
   *
   * ```js
   * const keystore = await cache.getSecretBinary('prod/checkout/keystore');
   * ```
   *
   * @throws As {@link getSecretString}; `WRONG_TYPE` for a secret that is a string.
   */
  async getSecretBinary(id: string, options?: GetOptions): Promise<Buffer> {
    return binaryOf(await this.#read(id, options));
  }

  /**
   * Reads a secret string and parses it as JSON. The caller may change the result.
   *
   * `T` is the type that the program expects; it is not checked.
   *
   * ```ts
   * const { username, password } = await cache.getSecretJson<{ username: string; password: string
   * }>('prod/checkout/db');
   * ```
   *
   * @throws As {@link getSecretString}; `NOT_JSON` if the string is not JSON; the error does not quote it.
   */
  async getSecretJson<T = any>(id: string, options?: GetOptions): Promise<T> {
    return jsonOf(id, stringOf(await this.#read(id, options))) as T;
  }

  /**
   * Reads one field of a secret that is a JSON object. The secret is parsed once for each version, so this is about as
   * fast as reading the string.
   *
   * The value is a string, number, boolean or null, or a frozen object or array, because all callers share it.
   *
   * ```js
   * const password = await cache.getSecretField('prod/checkout/db', 'password');
   * ```
   *
   * @throws As {@link getSecretJson}; `FIELD_NOT_FOUND` if the secret has no such field; the error names the fields it
   * has.
   */
  getSecretField<T = any>(id: string, field: string, options?: GetOptions): Promise<T> {
    if (options === undefined) {
      const found = this.#reader.hit(id)?.fields?.get(field);
      if (found !== undefined) return found as Promise<T>;
    }
    return this.#read(id, options).then((entry) => fieldOf(id, entry, field) as Promise<T>);
  }

  /**
   * Reads several secrets. Those that are not cached are fetched twenty per call (one by one with a client that you
   * pass). Returns the values by id, in the order of `ids`: a string, or a buffer for a binary secret.
   *
   * ```js
   * const secrets = await cache.getSecrets(['prod/checkout/db', 'prod/payments/key']);
   * const key = secrets.get('prod/payments/key');
   * ```
   *
   * @throws As {@link getSecretString}, with the first error, if one of them cannot be read. To continue without it,
   * call {@link prefetch}, which returns all errors, and read the others.
   */
  async getSecrets(ids: Iterable<string>, options: Pick<GetOptions, 'signal'> = {}): Promise<Map<string, string | Buffer>> {
    checkOptions('getSecrets', options, ['signal'], HINTS);
    const list = idsOf('getSecrets', ids);
    const { signal } = options;
    signal?.throwIfAborted();
    const missing = list.filter((id) => this.#reader.hit(id) === undefined);
    if (missing.length > 1) await orAborted(this.#reader.prefetch(missing), signal);
    const values = await Promise.all(list.map((id) => this.#read(id, { signal })));
    return new Map(list.map((id, index) => [id, contentOf((values[index] as Entry).value) as string | Buffer]));
  }

  /**
   * Reads a whole version: value, ARN, name, version id, staging labels, creation date.
   *
   * ```js
   * const { versionId, secretString } = await cache.getSecretValue('prod/checkout/db', { versionStage: 'AWSPREVIOUS'
   * });
   * ```
   *
   * @throws As {@link getSecretString}.
   */
  async getSecretValue(id: string, options?: GetOptions): Promise<SecretValue> {
    return (await this.#read(id, options)).value;
  }

  /**
   * Returns the last known value: a string or, for a binary secret, a buffer; undefined if there is none. Never waits
   * and makes no request. It counts as a read, so the value is kept fresh.
   */
  peek(id: string): string | Buffer | undefined {
    checkId(id);
    const value = this.#reader.peek(id);
    return value === undefined ? undefined : contentOf(value);
  }

  /**
   * Fetches the secret's current version now, whatever its age, and forgets earlier failures.
   *
   * @throws {SecretCacheError} If that fails; reads then keep getting the last known value.
   */
  async refreshSecretNow(id: string): Promise<void> {
    checkId(id);
    await this.#reader.refresh(id, undefined);
  }

  /**
   * Fetches secrets before they are read, twenty per call (one by one with a client that you pass), and returns the
   * errors of those that failed. Secrets that are cached and not due are skipped.
   *
   * ```js
   * const failed = await cache.prefetch(['prod/checkout/db', 'prod/payments/key']);
   * for (const [id, error] of failed) console.warn(id, error.code);
   * ```
   *
   * @throws {TypeError} If you pass a single string; {@link SecretCacheError} `CLOSED` after the cache is closed.
   */
  async prefetch(ids: Iterable<string>): Promise<Map<string, SecretCacheError>> {
    return this.#reader.prefetch(idsOf('prefetch', ids));
  }

  /** Forgets a secret with all its versions: the next read fetches it. */
  invalidate(id: string): void {
    checkId(id);
    this.#reader.invalidate(id);
  }

  /**
   * Connects to the database (or other server) that the secret is for, even during a rotation. Returns what `login`
   * returns.
   *
   * ```js
   * const client = await cache.connect('prod/checkout/db', async ({ username, password, host }) => {
   *   const client = new pg.Client({ user: username, password, host });
   *   await client.connect();
   *   return client;
   * });
   * ```
   *
   * It tries the cached current version first. If `login` throws an error that means a refused login
   * (`options.rejected` decides), it fetches the version again, then tries `AWSPENDING`, which works in the middle of a
   * rotation, then `AWSPREVIOUS`, then pauses and starts again. Any other error is thrown unchanged. Accepted and
   * refused versions are remembered for all callers, so a rotation costs one refused login, not one for each
   * connection.
   *
   * When the time is up, a login in progress is abandoned: the signal that `login` gets is aborted.
   *
   * @throws {LoginRejectedError} If no version logs in before the time is up. Otherwise, what `login` throws; as {@link
   * getSecretString} if no version can be read; `NOT_JSON` for a secret without fields unless `options.plain`.
   */
  async connect<T>(
    id: string,
    login: (credential: Credential, signal: AbortSignal) => T | PromiseLike<T>,
    options: ConnectOptions = {},
  ): Promise<T> {
    checkId(id);
    if (typeof login !== 'function') throw new TypeError('connect takes a function that logs in with the credential it gets');
    return connect(this.#reader, id, login, options);
  }

  /**
   * Makes a secret count as in use until the result is closed, as if it were read all the time: after its first read it
   * is kept fresh, and new versions are noticed. For pools, which read a credential only when they connect.
   *
   * ```js
   * const watch = cache.watch('prod/checkout/db');
   * cache.on('newVersion', ({ secretId }) => console.log(`${secretId} has rotated`));
   * // When the pool has ended:
   * watch.close();
   * ```
   */
  watch(id: string): Watch {
    checkId(id);
    return this.#reader.native.watch(id);
  }

  /**
   * Returns counters and the list of cached secrets, without values. Times are milliseconds.
   *
   * ```js
   * const { hits, missesExpired, apiCalls } = cache.stats();
   * ```
   */
  stats(): Stats {
    this.#reader.flush();
    const stats = this.#reader.native.stats();
    const failures = Object.entries(stats.failures).map(([kind, count]) => [codeOf(kind), count]);
    const secrets = stats.secrets.map(({ lastError, ...status }) =>
      lastError === undefined ? status : { ...status, lastError: codeOf(lastError) },
    );
    return { ...stats, failures: Object.fromEntries(failures), secrets };
  }

  /**
   * Forgets every value, ends the background work, and refuses further reads. The caches of other threads are not
   * affected.
   */
  async close(): Promise<void> {
    this.#reader.close();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Returns whether to replace a connection made with this version when it is idle, because another version is current
   * or this one was refused. For pools.
   */
  isOutdated(id: string, versionId: string): boolean {
    checkId(id);
    return this.#reader.native.isOutdated(id, versionId);
  }

  /** @internal */
  [INSPECT](): string {
    // A proxy, as test doubles make, has no private fields.
    if (!(#reader in this)) return '[SecretCache]';
    const { hits, missesAbsent, missesExpired, staleServed, apiCalls, failures, secrets } = this.stats();
    const sum = (counts: object): number => Object.values(counts).reduce((one, other) => one + other, 0);
    const cached = secrets.filter(({ versionId }) => versionId !== undefined);
    const shown = {
      secrets: new Set(cached.map(({ secretId }) => secretId)).size,
      hits,
      misses: missesAbsent + missesExpired,
      staleServed,
      apiCalls: sum(apiCalls),
      failures: sum(failures),
      closed: this.#reader.closed,
    };
    const fields = Object.entries(shown).map(([name, value]) => `${name}: ${value}`);
    return `SecretCache { ${fields.join(', ')} }`;
  }

  #read(id: string, options: GetOptions = {}): Promise<Entry> {
    try {
      checkId(id);
      checkOptions('a read', options, GET_OPTIONS, HINTS);
      const { versionStage, versionId, maxAgeMs, signal } = options;
      checkSelector(versionStage, versionId);
      if (maxAgeMs !== undefined) readDuration('maxAgeMs', maxAgeMs);
      signal?.throwIfAborted();
      const which = this.#reader.which(versionStage, versionId);
      if (maxAgeMs !== undefined) return orAborted(this.#reader.readFresh(id, which, maxAgeMs), signal);
      const entry = this.#reader.hitVersion(id, which);
      return entry !== undefined ? Promise.resolve(entry) : orAborted(this.#reader.read(id, which), signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #onEvent(event: CacheEvent): void {
    if (event.shouldWarn) this.#warn(event.text);
    const { kind, secretId, versionStage, oldVersionId, newVersionId, ageMs = 0, region, failure } = event;
    const error = failure === undefined ? undefined : this.#reader.error(failure, secretId);
    if (kind === 'newVersion') this.#emit('newVersion', { secretId, versionStage, oldVersionId, newVersionId });
    else if (kind === 'stale') this.#emit('stale', { secretId, ageMs, error });
    else if (kind === 'refreshError' && error !== undefined) this.#emit('refreshError', { secretId, error });
    else if (region !== undefined && error !== undefined) this.#emit('replica', { secretId, region, error });
    else if (versionStage !== undefined && newVersionId !== undefined) {
      this.#emit('fallbackLogin', { secretId, versionStage, versionId: newVersionId });
    }
  }

  /** Calls every listener. One that throws is logged; it must neither end the process nor stop the other listeners. */
  #emit<K extends keyof SecretCacheEvents>(name: K, event: SecretCacheEvents[K][0]): void {
    for (const listener of this.rawListeners(name)) {
      try {
        const result: unknown = Reflect.apply(listener, this, [Object.freeze(event)]);
        if (isPromise(result)) result.then(undefined, (error: unknown) => this.#warnOf(name, error));
      } catch (error) {
        this.#warnOf(name, error);
      }
    }
  }

  #warnOf(name: string, error: unknown): void {
    this.#warn(`a listener of ${name} events failed: ${(error as Error)?.message ?? error}`);
  }

  #warn(text: string): void {
    if (this.#logger === undefined) process.emitWarning(text, { type: 'SecretCacheWarning' });
    else this.#logger?.warn(`secretcache: ${text}`);
  }
}

/** Keeps a cache alive while one of its reads is in progress, so that its listeners get the events. */
const owners = new WeakMap<Reader, SecretCache>();

function checkId(id: unknown): void {
  if (typeof id === 'string') return;
  const isCommand = typeof id === 'object' && id !== null && 'SecretId' in id;
  const hint = isCommand ? '; pass the value of SecretId, as in getSecretString("prod/db")' : '';
  throw new TypeError(`a secret id must be a string (the secret's name or ARN), not ${describe(id)}${hint}`);
}

function idsOf(where: string, ids: Iterable<string>): string[] {
  if (typeof ids === 'string' || typeof ids?.[Symbol.iterator] !== 'function') {
    throw new TypeError(
      `${where} takes several secret ids, such as an array, not ${typeof ids === 'string' ? 'one string' : describe(ids)}`,
    );
  }
  const list = [...ids];
  list.forEach(checkId);
  return list;
}

const GET_OPTIONS = ['versionStage', 'versionId', 'maxAgeMs', 'signal'] as const;

/** Advice for names that the SDK and Powertools use for these options or offer instead. */
const HINTS: Hints = {
  maxage: 'did you mean maxAgeMs? It is in milliseconds, where Powertools counts seconds',
  forcefetch: 'to ask the service, pass maxAgeMs: 0',
  transform: 'for JSON call getSecretJson or getSecretField, for bytes getSecretBinary',
  throwontransformerror: 'getSecretJson throws if the secret is not JSON',
  sdkoptions: 'pass versionStage or versionId here, and a client of your own to the constructor',
  secretid: 'the secret id is the first argument',
  stage: 'did you mean versionStage?',
  versionlabel: 'did you mean versionStage?',
  version: 'did you mean versionId?',
  abortsignal: 'did you mean signal?',
  timeout: 'pass a signal, such as AbortSignal.timeout(500)',
  timeoutms: 'pass a signal, such as AbortSignal.timeout(500)',
};

function checkSelector(versionStage: unknown, versionId: unknown): void {
  for (const [name, value] of Object.entries({ versionStage, versionId })) {
    if (value !== undefined && (typeof value !== 'string' || value === '')) {
      throw new TypeError(`${name} must be a non-empty string`);
    }
  }
  if (versionStage !== undefined && versionId !== undefined) {
    throw new TypeError('versionStage and versionId name one version each; pass only one of them');
  }
}

// The errors below are worded as in the core's `secret.rs`. They are made here because they are about JavaScript's copies of
// the values, and advise calls of this package.

function stringOf(entry: Entry): string {
  const string = entry.value.secretString;
  if (string === undefined) throw wrongType(entry, 'binary, not a string; call getSecretBinary');
  return string;
}

function binaryOf(entry: Entry): Buffer {
  const binary = entry.value.secretBinary;
  if (binary === undefined) throw wrongType(entry, 'a string, not binary; call getSecretString');
  return binary;
}

function contentOf(value: SecretValue): string | Buffer | undefined {
  return value.secretString ?? value.secretBinary;
}

function fieldOf(id: string, entry: Entry, field: string): Promise<unknown> {
  if (typeof field !== 'string') throw new TypeError(`a field is named by a string, not ${describe(field)}`);
  jsonOf(id, stringOf(entry));
  const { fields } = entry;
  if (fields === undefined) throw notJson(id, 'is JSON, but not an object with fields');
  const value = fields.get(field);
  if (value === undefined) {
    const text = `secret ${JSON.stringify(id)} has no field ${JSON.stringify(field)}; its fields are ${[...fields.keys()].join(', ') || 'none'}`;
    throw new SecretCacheError('FIELD_NOT_FOUND', text, { secretId: id });
  }
  return value;
}

function wrongType(entry: Entry, problem: string): SecretCacheError {
  return new SecretCacheError('WRONG_TYPE', `secret ${JSON.stringify(entry.id)} holds ${problem}`, { secretId: entry.id });
}

function jsonOf(id: string, string: string): unknown {
  try {
    return JSON.parse(string);
  } catch {
    // Without the place: the parser's message has it only in some releases of Node, and can quote the value.
    throw notJson(id, 'is not JSON');
  }
}

function notJson(id: string, problem: string): SecretCacheError {
  return new SecretCacheError('NOT_JSON', `the value of secret ${JSON.stringify(id)} ${problem}`, { secretId: id });
}
