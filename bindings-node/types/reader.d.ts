/**
 * The reads of one cache in one thread. A hit is served from a map of JavaScript values, without a call into the core.
 * A value counts as a hit for as long as the core allowed, and only while its change counter, in memory shared with the
 * core, is unchanged. Hits are reported to the core from time to time, so that they are counted and keep the secret in
 * use.
 */
import type { CacheEvent, Delivery, NativeCache, Version } from './binding';
import { SecretCacheError } from './errors';
import type { ReadOptions } from './settings';
import { SecretValue } from './value';
/** A version that can be served again without asking the core. */
export declare class Entry {
    #private;
    readonly id: string;
    readonly which: Which;
    readonly until: number;
    readonly value: SecretValue;
    /** The secret string, as one resolved promise for all reads. */
    readonly string: Promise<string> | undefined;
    /** The hits not yet reported to the core. */
    hits: number;
    /** The index of the value's change counter, and the count for which the value is valid. */
    readonly slot: number;
    readonly changes: number;
    constructor(id: string, which: Which, version: Version, until: number);
    /** The fields of a JSON object, parsed once, as resolved promises; undefined for any other secret. */
    get fields(): ReadonlyMap<string, Promise<unknown>> | undefined;
}
/** Selects a version, by staging label or by id. */
export interface Which {
    readonly stage: string | undefined;
    readonly versionId: string | undefined;
}
export declare class Reader {
    #private;
    readonly native: NativeCache;
    closed: boolean;
    constructor(options: ReadOptions, onEvent: (event: CacheEvent) => void);
    /** Returns the version with the default staging label if it can be served at once. Counts as a hit. */
    hit(id: string): Entry | undefined;
    /** Like `hit`, for any version. */
    hitVersion(id: string, which: Which): Entry | undefined;
    /** Returns the selector for a staging label or version id; with neither, for the default staging label. */
    which(stage: string | undefined, versionId: string | undefined): Which;
    /** Reads a version, and fetches it if necessary. Concurrent reads share one request. */
    read(id: string, which: Which): Promise<Entry>;
    /** Reads a version last confirmed less than `maxAgeMs` ago; an older one is refreshed first. */
    readFresh(id: string, which: Which, maxAgeMs: number): Promise<Entry>;
    /** Fetches a version now, whatever its age. */
    refresh(id: string, stage: string | undefined): Promise<void>;
    /** Carries out the step 'refresh' of a connect attempt. */
    recheck(id: string, stage: string): Promise<void>;
    /** Fetches secrets before they are read, and returns the errors of those that failed. */
    prefetch(ids: string[]): Promise<Map<string, SecretCacheError>>;
    /** Returns the last known value, if there is one. */
    peek(id: string): SecretValue | undefined;
    invalidate(id: string): void;
    close(): void;
    /** Reports the hits that were served here to the core. */
    flush(): void;
    /** Returns the error for a failure that the core reports. */
    error(failure: NonNullable<Delivery['failure']>, secretId?: string): SecretCacheError;
    /** Keeps a JavaScript error, and returns the number by which the core refers to it. */
    keepError(error: unknown): number;
}
