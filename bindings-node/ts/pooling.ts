/** Shared by all connection pools: every new connection is one `connect`, and connections of older versions are retired. */

import {
  type Credential,
  isRejectedLogin,
  type NewVersionEvent,
  type SecretCache,
  SecretCacheError,
  type Watch,
} from './index';

/** The user name and password of one version. */
export interface Login {
  readonly username: string;
  readonly password: string;
  readonly versionId: string | undefined;
}

/** Options for how a pool connects. */
export interface PoolingOptions {
  /** How long one new connection may take through a rotation, in milliseconds. Default: 30 000. */
  connectTimeoutMs?: number | undefined;
}

/**
 * Sets a property that drivers can read but `console.log`, `util.inspect`, `JSON.stringify`, spread and loggers do not
 * see.
 */
export function conceal(target: object, name: string | symbol, value: unknown): void {
  const set = (next: unknown): void => {
    value = next;
  };
  Object.defineProperty(target, name, { configurable: true, enumerable: false, get: () => value, set });
}

/** Conceals the password in a `pg` or `mysql2` connection and in the settings it keeps. */
export function concealPassword(connection: object, password: string): void {
  const { config, connectionParameters } = connection as Record<string, object | undefined>;
  for (const each of [connection, config, connectionParameters]) {
    if (each !== undefined && 'password' in each) conceal(each, 'password', password);
  }
}

/** Returns a driver's settings without user name. Throws if they contain a password: the login comes from the secret. */
export function withoutLogin<T extends object>(settings: T, secretId: string, urls: readonly string[] = []): T {
  if (typeof settings !== 'object' || settings === null) {
    throw new TypeError(`pass an object of settings, not a ${typeof settings}; ${urls[0] ?? 'host'} names the server`);
  }
  const { user: _user, username: _username, password, ...rest } = settings as Record<string, unknown>;
  // biome-ignore lint/suspicious/noDoubleEquals: null is what libraries pass on where nothing was given.
  if (password != undefined) throw new TypeError(`remove password: user name and password come from ${named(secretId)}`);
  for (const name of urls) {
    if (typeof rest[name] === 'string') rest[name] = urlWithoutLogin(name, rest[name], secretId);
  }
  return rest as T;
}

/** Returns a server's URL without user name. Throws if it contains a password, because that would be ignored. */
export function urlWithoutLogin(name: string, url: string, secretId: string): string {
  const [, scheme, user, rest] = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*@)?(.*)$/is.exec(url) ?? [undefined, '', undefined, url];
  const [place = '', ...query] = (rest ?? '').split('?');
  const parameters = query.join('?').split('&').filter(Boolean);
  const nameOf = (parameter: string): string => (parameter.split('=')[0] ?? '').toLowerCase();
  if (user?.includes(':') || parameters.some((each) => nameOf(each) === 'password')) {
    throw new TypeError(`remove the password from ${name}: user name and password come from ${named(secretId)}`);
  }
  const others = parameters.filter((each) => nameOf(each) !== 'user');
  return `${scheme}${place}${others.length > 0 ? `?${others.join('&')}` : ''}`;
}

/**
 * Returns the settings of one connection with a login. It is added to the URL too, because in `pg` a URL overrides the
 * other settings. Only the driver gets the result; it is never stored.
 */
export function withLogin<T extends { connectionString?: string }>(settings: T, { username, password }: Login): T {
  const all = { ...settings, user: username, password };
  const { connectionString: url } = settings;
  if (url === undefined || !/^[a-z][a-z0-9+.-]*:/i.test(url)) return all;
  const login = `user=${encodeURIComponent(username)}&password=${encodeURIComponent(password)}`;
  return { ...all, connectionString: `${url}${url.includes('?') ? '&' : '?'}${login}` };
}

function named(secretId: string): string {
  return `secret ${JSON.stringify(secretId)}`;
}

/** The secret of one pool, watched until the pool ends. */
export class PoolSecret {
  readonly #cache: SecretCache;
  readonly #id: string;
  readonly #timeoutMs: number | undefined;
  readonly #watch: Watch;
  readonly #listener: (event: NewVersionEvent) => void;

  /** `retire` is called for each new version, and closes the free connections of other versions. */
  constructor(cache: SecretCache, id: string, options: PoolingOptions, retire: () => void) {
    this.#cache = cache;
    this.#id = id;
    this.#timeoutMs = options.connectTimeoutMs;
    this.#watch = cache.watch(id);
    this.#listener = (event) => {
      // Not filtered by `secretId`, which can be the ARN if that was read first. `isOld` decides per connection.
      if (event.versionStage === 'AWSCURRENT') retire();
    };
    cache.on('newVersion', this.#listener);
  }

  /** Opens a connection with a login that works. If the signal is aborted first, `open` must close the connection. */
  async connect<T>(open: (login: Login, signal: AbortSignal) => Promise<T>): Promise<T> {
    const options = this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs };
    return this.#cache.connect(this.#id, (credential, signal) => open(this.#login(credential), signal), options);
  }

  /** Returns whether connections of a version should be closed when they are free. */
  isOld(versionId: string | undefined): boolean {
    return versionId !== undefined && this.#cache.isOutdated(this.#id, versionId);
  }

  /** Ends the watch. Call it when the pool ends. */
  close(): void {
    this.#cache.off('newVersion', this.#listener);
    this.#watch.close();
  }

  #login(credential: Credential): Login {
    const { username, password, versionId } = credential;
    if (username === undefined || password === undefined) {
      const text = `secret ${JSON.stringify(this.#id)} is not a JSON object with the fields username and password`;
      throw new SecretCacheError('FIELD_NOT_FOUND', text);
    }
    return { username, password, versionId };
  }
}

export { isRejectedLogin };
