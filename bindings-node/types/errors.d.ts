/** The errors of this package: one class, with a code for each kind of failure. */
import type { Failure } from './binding';
/** The codes of {@link SecretCacheError}. New ones are only ever added. */
export declare const ERROR_CODES: readonly ['INVALID_ARGUMENT', 'INVALID_CONFIGURATION', 'NO_REGION', 'NO_CREDENTIALS', 'INVALID_CREDENTIALS', 'ACCESS_DENIED', 'SECRET_NOT_FOUND', 'VERSION_NOT_FOUND', 'SECRET_DELETED', 'KEY_UNAVAILABLE', 'INVALID_REQUEST', 'THROTTLED', 'SERVICE_UNAVAILABLE', 'CONNECTION', 'TIMEOUT', 'INVALID_RESPONSE', 'WRONG_TYPE', 'NOT_JSON', 'FIELD_NOT_FOUND', 'CLOSED', 'SOURCE', 'INTERNAL', 'RESOURCE_EXHAUSTED', 'TLS', 'LOGIN_REJECTED'];
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
export declare class SecretCacheError extends Error {
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
export declare class LoginRejectedError extends SecretCacheError {
    /** The versions that were refused, in order, each once. */
    readonly tried: readonly RejectedVersion[];
}
/** Returns the code for one of the core's error kinds. */
export declare function codeOf(kind: string): SecretCacheErrorCode;
/** Returns the core's kind for an error; undefined if it is not a `SecretCacheError`. */
export declare function kindOf(error: unknown): string | undefined;
/** Returns the error for a failure that the core reports. `hostErrors` holds what the program's own client threw. */
export declare function errorFrom(failure: Failure, hostErrors: ReadonlyMap<number, unknown>, secretId?: string): SecretCacheError;
/** Converts an error that the native module threw, whose `code` is the core's kind. Returns any other error unchanged. */
export declare function errorThrown(error: unknown): unknown;
