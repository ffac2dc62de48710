/** Connects while a secret rotates: carries out the steps of a connect attempt that the core decides on. */

import type { Failure, NativeAttempt } from './binding';
import { errorThrown, kindOf, LoginRejectedError, SecretCacheError } from './errors';
import { native } from './native';
import { checkOptions, type Hints } from './options';
import type { Reader } from './reader';
import { readDuration } from './settings';
import { Credential, SecretValue } from './value';
import { orAborted, sleep } from './waiting';

/** A staging label that `connect` tries. */
export type ConnectStage = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';

/** Options of `connect`. */
export interface ConnectOptions {
  /** How long to try, in milliseconds. Default: 30 000. */
  timeoutMs?: number | undefined;
  /** An alias for `timeoutMs`. */
  timeout?: number | undefined;
  /** Whether an error means that the login is refused. Default: {@link isRejectedLogin}. */
  rejected?: ((error: unknown) => boolean) | undefined;
  /** The staging labels to try, in this order. Default: `AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`. */
  stages?: readonly ConnectStage[] | undefined;
  /** Whether the secret may be a plain string, such as an API key, rather than a JSON object. Default: false. */
  plain?: boolean | undefined;
  /**
   * @internal Whether a login is a request: each version is sent once, however long the service takes to respond. Then
   * `timeoutMs` limits only the time to find a version.
   */
  isRequest?: boolean | undefined;
  /** Ends the attempt with the signal's reason. A login in progress is not interrupted. */
  signal?: AbortSignal | undefined;
}

const OPTIONS = ['timeoutMs', 'rejected', 'stages', 'plain', 'signal', 'timeout', 'isRequest'] as const;

/** Advice for names that other libraries use for these options. */
const HINTS: Hints = {
  connecttimeoutms: 'did you mean timeoutMs?',
  logintimeout: 'did you mean timeoutMs? It is in milliseconds',
  versionstage: 'did you mean stages, such as ["AWSCURRENT"]?',
  versionstages: 'did you mean stages?',
  abortsignal: 'did you mean signal?',
  isrejected: 'did you mean rejected?',
};

type LogIn<T> = (credential: Credential, signal: AbortSignal) => T | PromiseLike<T>;

/** Connects with the first credential that `login` accepts. */
export async function connect<T>(reader: Reader, secretId: string, login: LogIn<T>, options: ConnectOptions): Promise<T> {
  checkOptions('connect', options, OPTIONS, HINTS);
  const { rejected = isRejectedLogin, stages, plain = false, isRequest = false, signal } = options;
  const timeoutMs = readDuration('timeoutMs', options.timeoutMs ?? options.timeout ?? 30_000);
  const attempt = attemptOf(reader, secretId, stages, timeoutMs, isRequest);
  let last: { error: unknown } | undefined;
  for (;;) {
    signal?.throwIfAborted();
    const step = attempt.next();
    const stage = step.stage as ConnectStage;
    if (step.what === 'stop') break;
    if (step.what === 'wait') {
      await sleep(step.waitMs ?? 0, signal);
    } else if (step.what === 'try' && step.version !== undefined) {
      const credential = new Credential(new SecretValue(step.version), stage);
      if (!plain && !credential.isObject) {
        throw new SecretCacheError(
          'NOT_JSON',
          `the value of ${named(secretId)} is not a JSON object with user name and password`,
        );
      }
      try {
        const connection = await within(isRequest ? undefined : attempt.remainingMs(), login, credential);
        attempt.accepted();
        return connection;
      } catch (error) {
        if (error === HANGS) break;
        if (!rejected(error)) throw error;
        attempt.rejected();
        last = { error };
      }
    } else {
      const reading =
        step.what === 'read' ? reader.read(secretId, reader.which(stage, undefined)) : reader.recheck(secretId, stage);
      await orAborted(
        reading.then(
          () => attempt.read(stage),
          (error: Error) => attempt.read(stage, kindOf(error) ?? 'source', error.message, reader.keepError(error)),
        ),
        signal,
      );
    }
  }
  throw failureOf(reader, attempt, secretId, last);
}

const HANGS = Symbol('the login has not finished');

/** Returns the result of a login, or throws {@link HANGS} if it takes longer. */
async function within<T>(milliseconds: number | undefined, login: LogIn<T>, credential: Credential): Promise<T> {
  const controller = new AbortController();
  if (milliseconds === undefined) return await login(credential, controller.signal);
  let timer: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(HANGS);
      controller.abort(new SecretCacheError('TIMEOUT', 'the login took too long'));
    }, milliseconds);
  });
  try {
    return await Promise.race([login(credential, controller.signal), hanging]);
  } finally {
    clearTimeout(timer);
  }
}

function attemptOf(
  reader: Reader,
  secretId: string,
  stages: readonly string[] | undefined,
  timeoutMs: number,
  once: boolean,
): NativeAttempt {
  try {
    return reader.native.connectAttempt(secretId, stages && [...stages], timeoutMs, once);
  } catch (error) {
    throw errorThrown(error);
  }
}

/** Returns the error for an attempt in which no version logged in. */
function failureOf(
  reader: Reader,
  attempt: NativeAttempt,
  secretId: string,
  last: { error: unknown } | undefined,
): SecretCacheError {
  const { rejected, failure } = attempt.failure();
  if (rejected === undefined) return reader.error(failure as Failure, secretId);
  const said = last === undefined ? '' : `: ${(last.error as Error)?.message ?? last.error}`;
  return new LoginRejectedError(`${rejected.message}${said}`, rejected, secretId, last?.error);
}

function named(secretId: string): string {
  return `secret ${JSON.stringify(secretId)}`;
}

/** The properties in which libraries that wrap a driver keep the driver's error. */
const CAUSES = ['cause', 'parent', 'original', 'previousErrors'] as const;

/** Longer chains of causes are not followed. */
const MOST_CAUSES = 8;

/**
 * Returns whether an error means that the login is refused. Knows pg, postgres.js, mysql2, mariadb, redis, ioredis, and
 * HTTP status 401; also through PgBouncer and RDS Proxy, and if another library wraps the driver's error (`cause`,
 * `parent`).
 *
 * ```js
 * import { isRejectedLogin } from 'secretcache';
 *
 * isRejectedLogin(Object.assign(new Error('Access denied'), { errno: 1045 })); // true
 * ```
 */
export function isRejectedLogin(error: unknown): boolean {
  return isRefusal(error, MOST_CAUSES);
}

function isRefusal(error: unknown, depth: number): boolean {
  if (typeof error !== 'object' || error === null || depth === 0) return false;
  const { code, errno, message, status, statusCode, response } = error as Readonly<Record<string, any>>;
  // A positive `errno` is MySQL's error number; those of the operating system are negative.
  const given: unknown = typeof errno === 'number' && errno > 0 ? errno : code;
  const statuses = [status, statusCode, response?.status, response?.statusCode].filter((each) => typeof each === 'number');
  const codes = [...(['string', 'number'].includes(typeof given) ? [given] : []), ...statuses].map(String);
  const text = typeof message === 'string' ? message : '';
  // Without a code, the core goes by the text.
  const says = (code?: string): boolean => native.saysLoginRefused(text, code);
  if (codes.length === 0 ? says() : codes.some(says)) return true;
  return CAUSES.some((name) =>
    [(error as Readonly<Record<string, unknown>>)[name]].flat().some((each) => isRefusal(each, depth - 1)),
  );
}
