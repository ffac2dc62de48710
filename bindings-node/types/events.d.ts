/** The events of a cache. */
import type { SecretCacheError } from './errors';
/**
 * A refresh found a new version: of `AWSCURRENT`, or of another staging label that the program reads. Labels that only
 * `connect` requests are left out.
 */
export interface NewVersionEvent {
    /** The id of the secret, as reads use it. */
    readonly secretId: string;
    /** The staging label that moved. */
    readonly versionStage: string | undefined;
    /** The version before. */
    readonly oldVersionId: string | undefined;
    /** The new version. */
    readonly newVersionId: string | undefined;
}
/** Reads start to return a value that could not be refreshed in time. Emitted once per outage. */
export interface StaleEvent {
    /** The id of the secret, as reads use it. */
    readonly secretId: string;
    /** Milliseconds since the last successful refresh. */
    readonly ageMs: number;
    /** The failure; undefined if the service has not responded yet. */
    readonly error: SecretCacheError | undefined;
}
/** A fetch or refresh failed. */
export interface RefreshErrorEvent {
    /** The id of the secret, as reads use it. */
    readonly secretId: string;
    /** Why it failed. */
    readonly error: SecretCacheError;
}
/**
 * A login succeeded with a version other than the current one, as happens in the middle of a rotation. If it continues,
 * the current version does not work. Emitted with the first such login, then at most once a minute.
 */
export interface FallbackLoginEvent {
    /** The id of the secret, as reads use it. */
    readonly secretId: string;
    /** The staging label of the version that logged in. */
    readonly versionStage: string;
    /** Its version id. */
    readonly versionId: string;
}
/**
 * A secret is now read from its replica in another Region, because its own Region does not respond. Emitted once, and
 * again only after its own Region has responded.
 */
export interface ReplicaEvent {
    /** The id of the secret, as reads use it. */
    readonly secretId: string;
    /** The Region of the replica. */
    readonly region: string;
    /** Why its own Region did not respond. */
    readonly error: SecretCacheError;
}
/** The events of a cache, by name. None is named `error`, because that would end a process without a listener. */
export interface SecretCacheEvents {
    newVersion: [NewVersionEvent];
    stale: [StaleEvent];
    refreshError: [RefreshErrorEvent];
    fallbackLogin: [FallbackLoginEvent];
    replica: [ReplicaEvent];
}
