/** One attempt to connect with a credential that may be rotating. */
export declare class NativeAttempt {
    /** What to do next. */
    next(): Step;
    /** How long the attempt may still take. */
    remainingMs(): number;
    /**
     * A staging label has been read or fetched, or why it could not be: the kind and the text of the failure, and the
     * number under which the package keeps it.
     */
    read(versionStage: string, kind?: string | undefined | null, message?: string | undefined | null, hostError?: number | undefined | null): void;
    /** The resource took the version that was tried. */
    accepted(): void;
    /** The resource refused the version that was tried. */
    rejected(): void;
    /** How the attempt failed. */
    failure(): AttemptFailure;
}
/** A cache as one environment uses it. */
export declare class NativeCache {
    /** Starts nothing. `deliver` is called with whatever comes later; `has_client`: it is also asked for the secrets. */
    constructor(settings: Settings, hasClient: boolean, deliver: (delivery: Delivery) => void);
    /**
     * The counters of changes, as memory that is shared with the core. Where that is not allowed, it is a mere copy:
     * see `touch`.
     */
    get changes(): Uint32Array;
    /** Raises the first counter, to find out whether the memory is shared. */
    touch(): void;
    /** Begins a read. If it is not answered at once, the result is delivered under `number`. */
    read(number: number, id: string, stage?: string | undefined | null, versionId?: string | undefined | null): Begun;
    /** Begins a forced refresh. Its result is delivered under `number`. */
    refresh(number: number, id: string, stage?: string | undefined | null): Begun;
    /** Begins what an attempt to connect asks for by 'refresh'. Its result is delivered under `number`. */
    recheck(number: number, id: string, stage: string): Begun;
    /** Begins to fetch secrets before they are read. The result is delivered under `number`. */
    prefetch(number: number, ids: Array<string>): Begun;
    /** The last-known value: never waits, never asks anybody. */
    peek(id: string, stage?: string | undefined | null, versionId?: string | undefined | null): Version | null;
    /** Milliseconds since the value that is held was last confirmed; null if none is held. */
    ageMs(id: string, stage?: string | undefined | null, versionId?: string | undefined | null): number | null;
    /** Notes hits that were answered in JavaScript. */
    noteHits(id: string, stage: string | undefined | null, versionId: string | undefined | null, count: number): void;
    /** Forgets a secret with all its versions. */
    invalidate(id: string): void;
    /** What the cache has done so far and holds now. */
    stats(): Stats;
    /** Whether a connection that was made with this version should be replaced when it is not in use. */
    isOutdated(id: string, versionId: string): boolean;
    /** Has a secret count as in use until the result is closed. */
    watch(id: string): NativeWatch;
    /** An attempt to connect. */
    connectAttempt(id: string, stages: Array<string>, timeoutMs: number): NativeAttempt;
    /** This environment is done with the cache; where no other uses it, it is closed. */
    close(): void;
    /** The program's client has answered with a value. */
    answerValue(number: number, value: ClientValue): void;
    /** The program's client has answered with a description. */
    answerDescription(number: number, description: ClientDescription): void;
    /** The program's client has failed. */
    answerFailure(number: number, failure: ClientFailure): void;
}
/** While it is open, its secret counts as in use. */
export declare class NativeWatch {
    /** From now on only reads count. */
    close(): void;
}
/** A call that the program's client is to make. */
export interface Ask {
    /** `GetSecretValue` or `DescribeSecret`. */
    operation: string;
    secretId: string;
    versionStage?: string;
    versionId?: string;
}
/** How an attempt failed: one of the two. */
export interface AttemptFailure {
    /** The resource refused every version. */
    rejected?: Rejection;
    /** The secret could not be read, or a login did not finish. */
    failure?: Failure;
}
/** How a read begins: one of these, or neither, which is when its result is delivered later. */
export interface Begun {
    version?: Version;
    failure?: Failure;
}
/** Something that happened to a cached secret. */
export interface CacheEvent {
    kind: 'newVersion' | 'stale' | 'refreshError' | 'fallbackLogin' | 'replica';
    /** Whether to warn of it: at most once a minute for each secret. */
    shouldWarn: boolean;
    /** One line, fit for a log. */
    text: string;
    secretId: string;
    versionStage?: string;
    oldVersionId?: string;
    newVersionId?: string;
    /** Since the value was last confirmed. */
    ageMs?: number;
    /** The Region of the replica. */
    region?: string;
    failure?: Failure;
}
/** What a client's `DescribeSecret` answered. */
export interface ClientDescription {
    arn?: string;
    versionIds: Array<string>;
    /** The labels of each, in the same order. */
    versionStages: Array<Array<string>>;
    /** Whether there is a `DeletedDate`. */
    isDeleted: boolean;
    rotationEnabled?: boolean;
    /** Dates are since the Unix epoch. */
    nextRotationMs?: number;
    lastRotatedMs?: number;
    /** Of `RotationRules`. */
    scheduleExpression?: string;
    /** Of `RotationRules`. */
    duration?: string;
}
/** How a client failed. */
export interface ClientFailure {
    /** `GetSecretValue` or `DescribeSecret`. */
    operation: string;
    /** The service's error code, if it was the service that answered. */
    code?: string;
    /** The core's kind, if the failure has one of its own. */
    kind?: string;
    message: string;
    httpStatus?: number;
    requestId?: string;
    /** The number under which the package keeps the error itself. */
    hostError?: number;
}
/** What a client's `GetSecretValue` answered. */
export interface ClientValue {
    arn?: string;
    name?: string;
    versionId?: string;
    versionStages: Array<string>;
    createdMs?: number;
    string?: string;
    binary?: Buffer;
}
/** What the package's function is called with: one of these. */
export interface Delivery {
    /** The number that the package gave to what has ended. */
    number: number;
    /** The version that was waited for. */
    version?: Version;
    /** Why it could not be fetched. */
    failure?: Failure;
    /** The secrets that could not be prefetched. */
    unfetched?: Array<Unfetched>;
    /** Something that happened to a cached secret. */
    event?: CacheEvent;
    /** A question for the program's client. */
    ask?: Ask;
}
/** The names of the core's error kinds, which the package's table of codes must cover. */
export declare function errorKinds(): Array<string>;
/** Why something failed. */
export interface Failure {
    /** The core's name of the kind. */
    kind: string;
    /** What is wrong and what to do. */
    message: string;
    /** The service's error code, where it answered. */
    serviceCode?: string;
    /** The HTTP status of its answer. */
    httpStatus?: number;
    /** The request id to quote to AWS support. */
    requestId?: string;
    /** The number of the client's own error, where a client of the program's failed. */
    hostError?: number;
    /** The text of the cause, if there is one. */
    cause?: string;
}
/** The id of an IAM login: service, user, host or name of a cache, and what else there is. */
export declare function iamLogin(service: string, user: string, name: string, port?: number | undefined | null, region?: string | undefined | null, isServerless?: boolean | undefined | null): string;
/** What resources said to logins. */
export interface LoginStats {
    accepted: number;
    fallbackLogins: number;
    rejected: number;
}
/** A version that was refused. */
export interface RejectedVersion {
    versionStage: string;
    versionId: string;
    /** How often. */
    times: number;
}
/** What the resource refused. */
export interface Rejection {
    /** The secret and its versions, for people. */
    message: string;
    tried: Array<RejectedVersion>;
}
/** Those among them that the caller may do better with by asking again soon. */
export declare function retryableKinds(): Array<string>;
/** Whether an error means that user name or password are refused: by its code if it has one, else by its text. */
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
/** Settings of a cache. The package has checked their types; times are milliseconds of at least 0. */
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
    /** Prefix, ARN of the role, and its external id if it has one. */
    roles?: Array<Array<string>>;
    fallbackRegions?: Array<string>;
    fallbackAfterMs?: number;
    proxyUrl?: string;
    caBundle?: string;
    useFips?: boolean;
    timeoutMs?: number;
    /** What all settings come to: caches of one text are one cache for all threads. None: a cache of its own. */
    sharedAs?: string;
}
/** What a cache has done so far in this process, and holds now. */
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
/** What to do next. */
export interface Step {
    what: 'try' | 'read' | 'refresh' | 'wait' | 'stop';
    /** The staging label to try, read or refresh. */
    stage?: string;
    /** The version to log in with. */
    version?: Version;
    /** How long to wait. */
    waitMs?: number;
}
/** A secret that could not be prefetched, and why. */
export interface Unfetched {
    secretId: string;
    failure: Failure;
}
/** The version of this module, which must be that of the package. */
export declare function version(): string;
/** One version: its value and what the service says about it. */
export interface Version {
    arn?: string;
    name?: string;
    versionId?: string;
    versionStages: Array<string>;
    /** When it was created, since the Unix epoch. */
    createdMs?: number;
    string?: string;
    binary?: Buffer;
    /** How long it may be handed out again without asking, unless its counter of changes moves. */
    servableMs: number;
    /** Which counter of changes is this version's. */
    slot: number;
    /** The count for which this is right. */
    changes: number;
}
