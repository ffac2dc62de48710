/**
 * Reads of one cache in one thread. A hit is answered here, from a map of JavaScript values, without a call into the
 * core: for as long as the core allowed, and only while the value's counter of changes, which is read from shared memory,
 * stands still. The core learns of such hits now and then, so that they count and keep the secret in use.
 */
import type { CacheEvent, Delivery, NativeCache, Version } from './binding';
import { SecretCacheError } from './errors';
import type { ReadOptions } from './settings';
import { SecretValue } from './value';
/** A version that may be handed out again. */
export declare class Entry {
    #private;
    readonly id: string;
    readonly which: Which;
    readonly until: number;
    readonly value: SecretValue;
    /** The secret string, resolved once for all who await it. */
    readonly string: Promise<string> | undefined;
    /** The hits that the core does not know of yet. */
    hits: number;
    /** The value's counter of changes, and its count for which the value is right. */
    readonly slot: number;
    readonly changes: number;
    constructor(id: string, which: Which, version: Version, until: number);
    /** The fields of a JSON object, parsed once and resolved as the string is; undefined for any other secret. */
    get fields(): ReadonlyMap<string, Promise<unknown>> | undefined;
}
/** Which version is asked for: by stage or by id. */
export interface Which {
    readonly stage: string | undefined;
    readonly versionId: string | undefined;
}
export declare class Reader {
    #private;
    readonly native: NativeCache;
    closed: boolean;
    constructor(options: ReadOptions, onEvent: (event: CacheEvent) => void);
    /** The current version, if it may be handed out at once. Counts as a hit. */
    hit(id: string): Entry | undefined;
    /** As `hit`, for any version. */
    hitVersion(id: string, which: Which): Entry | undefined;
    /** Which version is asked for; neither stage nor id means the default stage. */
    which(stage: string | undefined, versionId: string | undefined): Which;
    /** A version, whatever it takes. Many who ask for one wait together. */
    read(id: string, which: Which): Promise<Entry>;
    /** A version that was confirmed no longer ago than that; an older one is refreshed first. */
    readFresh(id: string, which: Which, maxAgeMs: number): Promise<Entry>;
    /** Fetches a version now, whatever its age. */
    refresh(id: string, stage: string | undefined): Promise<void>;
    /** What an attempt to connect asks for by 'refresh'. */
    recheck(id: string, stage: string): Promise<void>;
    /** Fetches secrets before they are read; gives the errors of those that could not be fetched. */
    prefetch(ids: string[]): Promise<Map<string, SecretCacheError>>;
    /** The last-known value, if there is one. */
    peek(id: string): SecretValue | undefined;
    invalidate(id: string): void;
    close(): void;
    /** Reports the hits that were answered here to the core. */
    flush(): void;
    /** The error for a failure that the core reports. */
    error(failure: NonNullable<Delivery['failure']>, secretId?: string): SecretCacheError;
    /** Keeps an error of this side under a number that the core gives back. */
    keepError(error: unknown): number;
}
