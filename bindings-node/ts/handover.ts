/** Logins for drivers that make their connections by themselves, and only say how each went. */

import type { Login, PoolSecret } from './pooling';

/**
 * One attempt to log in, over as many of the driver's connections as it takes: after a refusal, `login` gives what to try
 * on the next connection.
 */
export class Handover {
  readonly #secret: PoolSecret;
  #next = deferred<Login>();
  #tried: { resolve(): void; reject(error: unknown): void } | undefined;
  #refusal: { error: unknown } | undefined;
  #isOver = false;

  constructor(secret: PoolSecret) {
    this.#secret = secret;
    this.#begin();
  }

  #begin(): void {
    this.#isOver = false;
    const attempt = this.#secret.connect(
      (login) =>
        new Promise<void>((resolve, reject) => {
          this.#tried = { resolve, reject };
          this.#next.resolve(login);
        }),
    );
    attempt.catch((error) => {
      this.#isOver = true;
      this.#next.reject(error);
    });
  }

  /** What to log in with; the same again if a connection has ended without an answer. */
  login(): Promise<Login> {
    if (this.#refusal !== undefined) {
      const { error } = this.#refusal;
      this.#refusal = undefined;
      this.#next = deferred();
      if (this.#isOver) this.#begin();
      else this.#tried?.reject(error);
    }
    return this.#next.promise;
  }

  accepted(): void {
    this.#tried?.resolve();
  }

  /** The attempt goes on when the driver wants the next login, which may be a while later: what it gets is new then. */
  refused(error: unknown): void {
    this.#refusal = { error };
  }

  /** Nobody tries any more, for a reason that has nothing to do with the login. */
  abandoned(error: unknown): void {
    this.#tried?.reject(error);
  }
}

function deferred<T>() {
  let settle: { resolve(value: T): void; reject(error: unknown): void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Its failure is for those who wait for it, if anybody does.
  promise.catch(() => {});
  const { resolve, reject } = settle as unknown as NonNullable<typeof settle>;
  return { promise, resolve, reject };
}
