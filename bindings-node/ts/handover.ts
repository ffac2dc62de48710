/** Logins for drivers that open connections on their own and only report how each login went. */

import type { Login, PoolSecret } from './pooling';

/**
 * One attempt to log in that spans as many of the driver's connections as it needs: after a refusal, `login` returns the
 * login to try on the next connection.
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

  /** Returns the login to use; the same one again if the last connection ended without an answer. */
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

  /** Reports that the server accepted the login. */
  accepted(): void {
    this.#tried?.resolve();
  }

  /**
   * Reports that the server refused the login. The attempt continues only when the driver asks for the next login, which
   * can be much later, so that this login is up to date.
   */
  refused(error: unknown): void {
    this.#refusal = { error };
  }

  /** Reports that the driver gave up, for a reason other than the login. */
  abandoned(error: unknown): void {
    this.#tried?.reject(error);
  }
}

function deferred<T>() {
  let settle: { resolve(value: T): void; reject(error: unknown): void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Without this, a rejection that nothing awaits is reported as unhandled.
  promise.catch(() => {});
  const { resolve, reject } = settle as unknown as NonNullable<typeof settle>;
  return { promise, resolve, reject };
}
