/** The statistics of a cache. */
import type { SecretCacheErrorCode } from './errors';
/** The statistics of a cache in this process. Threads that share the cache share the counts. */
export interface Stats {
    /** Reads answered from memory, stale ones included. */
    hits: number;
    /** Reads that found nothing cached. */
    missesAbsent: number;
    /** Reads that found an expired value and waited for the service. */
    missesExpired: number;
    /** Reads answered with the last known value, because it could not be refreshed in time. */
    staleServed: number;
    /** Reads that waited for a request another thread had started. Reads of one thread wait together, as one. */
    coalesced: number;
    /** Refreshes that succeeded, with or without a new version. */
    refreshes: number;
    /** New versions found by refreshes. */
    rotationsObserved: number;
    /** Fetches and refreshes that a replica in another Region answered. */
    replicaReads: number;
    /** Secrets evicted to make room. */
    evictions: number;
    /** Calls to the service, by operation. */
    apiCalls: Record<string, number>;
    /** Failed fetches, by error code. */
    failures: Partial<Record<SecretCacheErrorCode, number>>;
    /** The results of logins by `connect` and pools. */
    logins: LoginStats;
    /** What is cached now. */
    secrets: SecretStatus[];
}
/** The results of logins. */
export interface LoginStats {
    /** Logins accepted. */
    accepted: number;
    /** Accepted logins with a version other than the current one. */
    fallbackLogins: number;
    /** Logins refused. A rotation costs one, and one more for each login in progress at that moment. */
    rejected: number;
}
/** One cached version of a secret. */
export interface SecretStatus {
    /** The id, as reads use it. */
    secretId: string;
    /** The staging label, if reads use one. */
    versionStage?: string | undefined;
    /** The id of the cached version, if there is one. */
    versionId?: string | undefined;
    /** Milliseconds since its last successful refresh. */
    ageMs?: number | undefined;
    /** Milliseconds until the next refresh is due; 0 if it is due now. */
    nextRefreshMs?: number | undefined;
    /** Why the last fetch failed, if it did. */
    lastError?: SecretCacheErrorCode | undefined;
    /** Consecutive failures. */
    failures: number;
}
