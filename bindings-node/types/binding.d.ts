/** One attempt to connect with a credential that may be rotating. */
export declare class NativeAttempt {
    /** Returns the next step. */
    next(): Step;
    /** Returns how long the attempt may still take, in milliseconds. */
    remainingMs(): number;
    /**
     * Reports that a staging label has been read or fetched, or the failure: its kind, its text, and the number under
     * which the package keeps the error.
     */
    read(versionStage: string, kind?: string | undefined | null, message?: string | undefined | null, hostError?: number | undefined | null): void;
    /** Reports that the resource accepted the version being tried. */
    accepted(): void;
    /** Reports that the resource refused the version being tried. */
    rejected(): void;
    /** Returns how the attempt failed. */
    failure(): AttemptFailure;
}
/** A cache, as used by one environment (the main thread or a worker). */
export declare class NativeCache {
    /**
     * Creates a cache without starting anything. `deliver` is called with all later results. With `hasClient`, it is
     * also called with the requests for the program's client.
     */
    constructor(settings: Settings, hasClient: boolean, deliver: (delivery: Delivery) => void);
    /**
     * Returns the counters of changes, as memory shared with the core. Where sharing is not allowed, the array is a
     * copy; see `touch`.
     */
    get changes(): Uint32Array;
    /** Increments the first counter, to find out whether the memory is shared. */
    touch(): void;
    /** Begins a read. If it cannot be answered at once, the result is delivered under `number`. */
    read(number: number, id: string, stage?: string | undefined | null, versionId?: string | undefined | null): Begun;
    /** Begins a forced refresh. Its result is delivered under `number`. */
    refresh(number: number, id: string, stage?: string | undefined | null): Begun;
    /** Begins the refresh that an attempt to connect requests. Its result is delivered under `number`. */
    recheck(number: number, id: string, stage: string): Begun;
    /** Begins to prefetch secrets. The result is delivered under `number`. */
    prefetch(number: number, ids: Array<string>): Begun;
    /** Returns the last known value. Never waits and makes no request. */
    peek(id: string, stage?: string | undefined | null, versionId?: string | undefined | null): Version | null;
    /** Returns whether a read with this maximum age must refresh the value first. */
    isOlder(id: string, stage: string | undefined | null, versionId: string | undefined | null, maxAgeMs: number): boolean;
    /** Counts hits that JavaScript answered itself. */
    noteHits(id: string, stage: string | undefined | null, versionId: string | undefined | null, count: number): void;
    /** Forgets a secret with all its versions. */
    invalidate(id: string): void;
    /** Returns the statistics of the cache. */
    stats(): Stats;
    /** Returns whether a connection made with this version should be replaced when it is idle. */
    isOutdated(id: string, versionId: string): boolean;
    /** Makes a secret count as in use until the result is closed. */
    watch(id: string): NativeWatch;
    /**
     * Starts an attempt to connect. Without `stages`, it tries all that a login can use. With `once`, it does not wait for a
     * version that works, but tries each once.
     */
    connectAttempt(id: string, stages: Array<string> | undefined | null, timeoutMs: number, once: boolean): NativeAttempt;
    /** Ends this environment's use of the cache. The cache is closed once no environment uses it. */
    close(): void;
    /** Passes on a value from the program's client. */
    answerValue(number: number, value: ClientValue): void;
    /** Passes on a description from the program's client. */
    answerDescription(number: number, description: ClientDescription): void;
    /** Passes on a failure of the program's client. */
    answerFailure(number: number, failure: ClientFailure): void;
}
/** Makes its secret count as in use while it is open. */
export declare class NativeWatch {
    /** Ends the watch. */
    close(): void;
}
/** A request that the program's client must make. */
export interface Ask {
    /** `GetSecretValue` or `DescribeSecret`. */
    operation: string;
    secretId: string;
    versionStage?: string;
    versionId?: string;
}
/** How an attempt failed. Exactly one field is set. */
export interface AttemptFailure {
    /** The resource refused every version. */
    rejected?: Rejection;
    /** The secret could not be read, or a login did not finish. */
    failure?: Failure;
}
/** The start of a read. If both fields are empty, the result is delivered later. */
export interface Begun {
    version?: Version;
    failure?: Failure;
}
/** An event of a cached secret. */
export interface CacheEvent {
    kind: 'newVersion' | 'stale' | 'refreshError' | 'fallbackLogin' | 'replica';
    /** Whether to log a warning; at most once a minute for each secret. */
    shouldWarn: boolean;
    /** One line, for a log. */
    text: string;
    secretId: string;
    versionStage?: string;
    oldVersionId?: string;
    newVersionId?: string;
    /** Milliseconds since the value was last confirmed. */
    ageMs?: number;
    /** The Region of the replica. */
    region?: string;
    failure?: Failure;
}
/** The response of a client to `DescribeSecret`. */
export interface ClientDescription {
    arn?: string;
    versionIds: Array<string>;
    /** The staging labels of each version, in the order of `version_ids`. */
    versionStages: Array<Array<string>>;
    /** Whether the response has a `DeletedDate`. */
    isDeleted: boolean;
    rotationEnabled?: boolean;
    /** Milliseconds since the Unix epoch, like `last_rotated_ms`. */
    nextRotationMs?: number;
    lastRotatedMs?: number;
    /** `ScheduleExpression` of `RotationRules`. */
    scheduleExpression?: string;
    /** `Duration` of `RotationRules`. */
    duration?: string;
}
/** A failure of a client. */
export interface ClientFailure {
    /** `GetSecretValue` or `DescribeSecret`. */
    operation: string;
    /** The service's error code, if the service responded. */
    code?: string;
    /** The core's kind of error, if the failure has one. */
    kind?: string;
    message: string;
    httpStatus?: number;
    requestId?: string;
    /** The number under which the package keeps the client's error. */
    hostError?: number;
}
/** The response of a client to `GetSecretValue`. */
export interface ClientValue {
    arn?: string;
    name?: string;
    versionId?: string;
    versionStages: Array<string>;
    createdMs?: number;
    string?: string;
    binary?: Buffer;
}
/** Returns the message of the error for a cache that has been closed. */
export declare function closedMessage(): string;
/** A message to the package. Besides `number`, one field is set. */
export interface Delivery {
    /** The number that the package gave to the operation that has ended. */
    number: number;
    /** The version that was read or fetched. */
    version?: Version;
    /** The failure, if it could not be fetched. */
    failure?: Failure;
    /** The secrets that could not be prefetched. */
    unfetched?: Array<Unfetched>;
    /** An event of a cached secret. */
    event?: CacheEvent;
    /** A request for the program's client. */
    ask?: Ask;
}
/** Returns the names of the core's error kinds, which the package's table of codes must cover. */
export declare function errorKinds(): Array<string>;
/** A failure. */
export interface Failure {
    /** The name of the kind of error in the core. */
    kind: string;
    /** What is wrong and what to do. */
    message: string;
    /** The service's error code, if the service responded. */
    serviceCode?: string;
    /** The HTTP status of its response. */
    httpStatus?: number;
    /** The request id to quote to AWS support. */
    requestId?: string;
    /** The number under which the package keeps the error, if the program's client failed. */
    hostError?: number;
    /** The text of the cause, if there is one. */
    cause?: string;
}
/** Returns the id of an IAM login. `name` is a host, or the name of a cache. */
export declare function iamLogin(service: string, user: string, name: string, port?: number | undefined | null, region?: string | undefined | null, isServerless?: boolean | undefined | null): string;
/** Counts of logins. */
export interface LoginStats {
    accepted: number;
    fallbackLogins: number;
    rejected: number;
}
/** A version that was refused. */
export interface RejectedVersion {
    versionStage: string;
    versionId: string;
    /** How many times it was refused. */
    times: number;
}
/** The versions that the resource refused. */
export interface Rejection {
    /** A message that names the secret and the refused versions. */
    message: string;
    /** Whether another attempt may help soon. */
    retryable: boolean;
    tried: Array<RejectedVersion>;
}
/** Returns the names of the error kinds for which a retry may help. */
export declare function retryableKinds(): Array<string>;
/** Returns whether an error means a refused login: judged by its code if it has one, otherwise by its text. */
export declare function saysLoginRefused(message: string, code?: string | undefined | null): boolean;
/** One cached version of a secret. */
export interface SecretStatus {
    secretId: string;
    versionStage?: string;
    versionId?: string;
    ageMs?: number;
    nextRefreshMs?: number;
    lastError?: string;
    failures: number;
}
/** Settings of a cache. The package has checked their types; times are in milliseconds and at least 0. */
export interface Settings {
    refreshIntervalMs?: number;
    refreshIntervalsMs?: Record<string, number>;
    maxWaitMs?: number;
    maxStaleMs?: number;
    maxSize?: number;
    staleOnDenied?: boolean;
    region?: string;
    endpoint?: string;
    profile?: string;
    accessKeyId?: string;
    secretAccessKey?: string;
    sessionToken?: string;
    roleArn?: string;
    externalId?: string;
    /** For each role: the prefix, the role ARN, and the external id if there is one. */
    roles?: Array<Array<string>>;
    fallbackRegions?: Array<string>;
    fallbackAfterMs?: number;
    proxyUrl?: string;
    caBundle?: string;
    useFips?: boolean;
    timeoutMs?: number;
    /**
     * All settings as one text. Threads whose caches have the same text share one cache; without a text, a cache is
     * not shared.
     */
    sharedAs?: string;
}
/** Statistics of a cache in this process. */
export interface Stats {
    hits: number;
    missesAbsent: number;
    missesExpired: number;
    staleServed: number;
    coalesced: number;
    refreshes: number;
    rotationsObserved: number;
    replicaReads: number;
    evictions: number;
    apiCalls: Record<string, number>;
    failures: Record<string, number>;
    logins: LoginStats;
    secrets: Array<SecretStatus>;
}
/** The next step of an attempt. */
export interface Step {
    what: 'try' | 'read' | 'refresh' | 'wait' | 'stop';
    /** The staging label to try, read or refresh. */
    stage?: string;
    /** The version to log in with. */
    version?: Version;
    /** For `wait`: how long, in milliseconds. */
    waitMs?: number;
}
/** A secret that could not be prefetched, and why. */
export interface Unfetched {
    secretId: string;
    failure: Failure;
}
/** Returns the version of this module, which must be the same as the package's. */
export declare function version(): string;
/** One version: its value and what the service says about it. */
export interface Version {
    arn?: string;
    name?: string;
    versionId?: string;
    versionStages: Array<string>;
    /** When this version was created, in milliseconds since the Unix epoch. */
    createdMs?: number;
    string?: string;
    binary?: Buffer;
    /**
     * How long this version can be returned again without asking the core, unless its counter of changes moves, in
     * milliseconds.
     */
    servableMs: number;
    /** The index of this version's counter of changes. */
    slot: number;
    /** The count at which this version is valid. */
    changes: number;
}
