/** What connection pools have in common: each new connection is one attempt of the plan, and old ones retire. */

import { type Credential, isRejectedLogin, type NewVersionEvent, type SecretCache, SecretCacheError, type Watch } from './index';

/** User name and password of one version. */
export interface Login {
  readonly username: string;
  readonly password: string;
  readonly versionId: string | undefined;
}

/** How a pool connects. */
export interface PoolingOptions {
  /** How long one new connection may take through a rotation, in milliseconds. Default: 30 000. */
  connectTimeoutMs?: number;
}

/** The credential of one pool. */
export class PoolSecret {
  readonly #cache: SecretCache;
  readonly #id: string;
  readonly #timeoutMs: number | undefined;
  readonly #watch: Watch;
  readonly #listener: (event: NewVersionEvent) => void;

  /** `retire` is called when there is a new version; connections of others are then to be closed when they are free. */
  constructor(cache: SecretCache, id: string, options: PoolingOptions, retire: () => void) {
    this.#cache = cache;
    this.#id = id;
    this.#timeoutMs = options.connectTimeoutMs;
    this.#watch = cache.watch(id);
    this.#listener = (event) => {
      // It names the secret as it was first asked for, which may be its ARN. `isOld` tells.
      if (event.versionStage === 'AWSCURRENT') retire();
    };
    cache.on('newVersion', this.#listener);
  }

  /** Opens a connection with the login that works. One that comes after its signal was aborted is `open`'s to close. */
  async connect<T>(open: (login: Login, signal: AbortSignal) => Promise<T>): Promise<T> {
    const options = this.#timeoutMs === undefined ? {} : { timeoutMs: this.#timeoutMs };
    return this.#cache.connect(this.#id, (credential, signal) => open(this.#login(credential), signal), options);
  }

  /** Whether connections of a version are to be closed when they are free. */
  isOld(versionId: string | undefined): boolean {
    return versionId !== undefined && this.#cache.isOutdated(this.#id, versionId);
  }

  /** The pool has ended. */
  close(): void {
    this.#cache.off('newVersion', this.#listener);
    this.#watch.close();
  }

  #login(credential: Credential): Login {
    const { username, password, versionId } = credential;
    if (username === undefined || password === undefined) {
      const text = `secret ${JSON.stringify(this.#id)} is no JSON object with the fields username and password`;
      throw new SecretCacheError('FIELD_NOT_FOUND', text);
    }
    return { username, password, versionId };
  }
}

export { isRejectedLogin };
