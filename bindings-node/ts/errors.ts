/** The errors of this package: one class, with a code for each kind of failure. */

import type { Failure, Rejection } from './binding';
import { native } from './native';

/** The codes of {@link SecretCacheError}. New ones are only ever added. */
export const ERROR_CODES = [
  'INVALID_ARGUMENT',
  'INVALID_CONFIGURATION',
  'NO_REGION',
  'NO_CREDENTIALS',
  'INVALID_CREDENTIALS',
  'ACCESS_DENIED',
  'SECRET_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'SECRET_DELETED',
  'KEY_UNAVAILABLE',
  'INVALID_REQUEST',
  'THROTTLED',
  'SERVICE_UNAVAILABLE',
  'CONNECTION',
  'TIMEOUT',
  'INVALID_RESPONSE',
  'WRONG_TYPE',
  'NOT_JSON',
  'FIELD_NOT_FOUND',
  'CLOSED',
  'SOURCE',
  'INTERNAL',
  'RESOURCE_EXHAUSTED',
  'TLS',
  'LOGIN_REJECTED',
] as const;

/**
 * The kind of failure.
 *
 * | code | what it means |
 * |---|---|
 * | `INVALID_ARGUMENT` | an argument is wrong: fix the call |
 * | `INVALID_CONFIGURATION`, `NO_REGION` | a setting is wrong or missing: fix the configuration |
 * | `NO_CREDENTIALS`, `INVALID_CREDENTIALS` | AWS credentials were not found, have expired or are not accepted |
 * | `ACCESS_DENIED` | the caller is not allowed to read this secret, or to use its KMS key |
 * | `SECRET_NOT_FOUND`, `VERSION_NOT_FOUND`, `SECRET_DELETED` | there is no such secret, no such version of it, or it is marked for deletion |
 * | `KEY_UNAVAILABLE` | the KMS key is disabled or pending deletion |
 * | `THROTTLED`, `SERVICE_UNAVAILABLE`, `CONNECTION`, `TIMEOUT` | the service is unreachable, overloaded or too slow: retry later |
 * | `TLS` | the endpoint's certificate is not trusted, or it speaks no TLS |
 * | `INVALID_REQUEST`, `INVALID_RESPONSE` | the service refused the request for another reason, or sent an unexpected response |
 * | `WRONG_TYPE`, `NOT_JSON`, `FIELD_NOT_FOUND` | the secret does not have the requested form |
 * | `CLOSED` | the cache has been closed |
 * | `SOURCE` | the client you supplied failed: see `cause` |
 * | `RESOURCE_EXHAUSTED` | the process has no thread, file descriptor or memory left: the message says which |
 * | `LOGIN_REJECTED` | no version of the secret logs in: see {@link LoginRejectedError} |
 * | `INTERNAL` | a bug in this package: please report it |
 */
export type SecretCacheErrorCode = (typeof ERROR_CODES)[number];

/** Metadata of the service's response, as in the AWS SDK for JavaScript. */
export interface ResponseMetadata {
  /** The HTTP status. */
  httpStatusCode?: number;
  /** The id to quote to AWS support. */
  requestId?: string;
}

/** An error of this package. The message says what is wrong and what to do, and never contains a secret. */
export class SecretCacheError extends Error {
  /** The kind of failure. */
  readonly code: SecretCacheErrorCode;
  /** Whether the call can succeed if you retry it soon. The cache itself always retries. */
  readonly retryable: boolean;
  /** The service's error code, such as `ResourceNotFoundException`, if the service responded. */
  readonly serviceCode?: string;
  /** The id of the secret, if the error is about one. */
  readonly secretId?: string;
  /** Status and request id of the service's response; empty if it did not respond. */
  readonly $metadata: ResponseMetadata;

  /** @internal */
  constructor(code: SecretCacheErrorCode, message: string, options: ErrorDetails = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    if (options.serviceCode !== undefined) this.serviceCode = options.serviceCode;
    if (options.secretId !== undefined) this.secretId = options.secretId;
    this.$metadata = options.metadata ?? {};
  }

  static {
    // On the prototype, as for built-in errors: survives minification and adds no own property to each error.
    Object.defineProperty(this.prototype, 'name', { value: 'SecretCacheError', configurable: true, writable: true });
  }
}

/** @internal */
export interface ErrorDetails {
  cause?: unknown;
  /** Default: whether failures with this code are temporary. */
  retryable?: boolean;
  serviceCode?: string;
  secretId?: string | undefined;
  metadata?: ResponseMetadata;
}

/** A version whose login was refused. */
export interface RejectedVersion {
  /** Its staging label. */
  readonly versionStage: string;
  /** Its id. */
  readonly versionId: string;
  /** How often it was refused in this attempt; 0 if it was refused earlier and it is too soon to try again. */
  readonly times: number;
}

/** No version of the secret logs in. `cause` is the driver's last error. */
export class LoginRejectedError extends SecretCacheError {
  /** The versions that were refused, in order, each once. */
  readonly tried: readonly RejectedVersion[];

  /** @internal */
  constructor(message: string, { retryable, tried }: Rejection, secretId: string, cause: unknown) {
    super('LOGIN_REJECTED', message, { retryable, secretId, ...(cause !== undefined && { cause }) });
    this.tried = tried;
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'LoginRejectedError', configurable: true, writable: true });
  }
}

/** The codes of the failures to read a secret that are temporary. */
const RETRYABLE: ReadonlySet<string> = new Set(native.retryableKinds().map(codeOf));

/** Returns the code for one of the core's error kinds. */
export function codeOf(kind: string): SecretCacheErrorCode {
  const code = kind.toUpperCase() as SecretCacheErrorCode;
  return ERROR_CODES.includes(code) ? code : 'INTERNAL';
}

/** Returns the core's kind for an error; undefined if it is not a `SecretCacheError`. */
export function kindOf(error: unknown): string | undefined {
  return error instanceof SecretCacheError ? error.code.toLowerCase() : undefined;
}

/** Returns the error for a failure that the core reports. `hostErrors` holds what the program's own client threw. */
export function errorFrom(failure: Failure, hostErrors: ReadonlyMap<number, unknown>, secretId?: string): SecretCacheError {
  const metadata: ResponseMetadata = {};
  if (failure.httpStatus !== undefined) metadata.httpStatusCode = failure.httpStatus;
  if (failure.requestId !== undefined) metadata.requestId = failure.requestId;
  const details: ErrorDetails = { metadata, secretId };
  if (failure.serviceCode !== undefined) details.serviceCode = failure.serviceCode;
  if (failure.hostError !== undefined && hostErrors.has(failure.hostError)) {
    details.cause = hostErrors.get(failure.hostError);
  } else if (failure.cause !== undefined) {
    details.cause = new Error(failure.cause);
  }
  const isNamed = secretId === undefined || failure.message.includes(secretId);
  const message = isNamed ? failure.message : `secret ${JSON.stringify(secretId)}: ${failure.message}`;
  return new SecretCacheError(codeOf(failure.kind), message, details);
}

/** Converts an error that the native module threw, whose `code` is the core's kind. Returns any other error unchanged. */
export function errorThrown(error: unknown): unknown {
  // Not `instanceof`: under Jest, the module's errors belong to another realm.
  const { code: kind, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const isOurs = typeof kind === 'string' && kind === kind.toLowerCase() && typeof message === 'string';
  return isOurs ? new SecretCacheError(codeOf(kind), message) : error;
}
