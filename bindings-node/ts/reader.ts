/**
 * The reads of one cache in one thread. A hit is served from a map of JavaScript values, without a call into the core.
 * A value counts as a hit for as long as the core allowed, and only while its change counter, in memory shared with the
 * core, is unchanged. Hits are reported to the core from time to time, so that they are counted and keep the secret in
 * use.
 */

import type { Ask, Begun, CacheEvent, Delivery, NativeCache, Version } from './binding';
import { describeSecret, failureOf, getSecretValue } from './client';
import { clockSteps, coarseNow } from './clock';
import { errorFrom, errorThrown, SecretCacheError } from './errors';
import { native } from './native';
import type { CommandSender, ReadOptions } from './settings';
import { SecretValue } from './value';
import { deliver, endOf, nextNumber } from './waiting';

/** A version that can be served again without asking the core. */
export class Entry {
  readonly value: SecretValue;
  /** The secret string, as one resolved promise for all reads. */
  readonly string: Promise<string> | undefined;
  /** The hits not yet reported to the core. */
  hits = 0;
  /** The index of the value's change counter, and the count for which the value is valid. */
  readonly slot: number;
  readonly changes: number;
  #fields: ReadonlyMap<string, Promise<unknown>> | undefined | null;

  constructor(
    readonly id: string,
    readonly which: Which,
    version: Version,
    readonly until: number,
  ) {
    this.value = new SecretValue(version);
    this.slot = version.slot;
    this.changes = version.changes;
    this.string = version.string === undefined ? undefined : Promise.resolve(version.string);
  }

  /** The fields of a JSON object, parsed once, as resolved promises; undefined for any other secret. */
  get fields(): ReadonlyMap<string, Promise<unknown>> | undefined {
    if (this.#fields === undefined) this.#fields = fieldsOf(this.value.secretString) ?? null;
    return this.#fields ?? undefined;
  }
}

function fieldsOf(secretString: string | undefined): ReadonlyMap<string, Promise<unknown>> | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(secretString ?? '');
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  return new Map(Object.entries(parsed).map(([name, value]) => [name, Promise.resolve(frozen(value))]));
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

/** Selects a version, by staging label or by id. */
export interface Which {
  readonly stage: string | undefined;
  readonly versionId: string | undefined;
}

/** How many errors of the program's client are kept. */
const MOST_HOST_ERRORS = 256;

/** Up to this many values, outdated ones stay in the maps until they are read again. */
const FEW_ENTRIES = 64;

export class Reader {
  readonly native: NativeCache;
  readonly #current: Which;
  readonly #client: CommandSender | undefined;
  readonly #onEvent: (event: CacheEvent) => void;
  readonly #flushAfterMs: number;
  /** Versions with the default staging label, by secret id. All other versions are in `#others`. */
  readonly #entries = new Map<string, Entry>();
  readonly #others = new Map<string, Entry>();
  readonly #pending = new Map<string, Promise<Entry>>();
  readonly #hostErrors = new Map<number, unknown>();
  #hostErrorsMade = 0;
  /** The core's change counters. Empty if memory cannot be shared. */
  readonly #changes: Uint32Array;
  /** With more values than this, outdated ones are dropped. */
  #sweepAt = FEW_ENTRIES;
  #steps = clockSteps();
  #hitEntries: Entry[] = [];
  closed = false;

  constructor(options: ReadOptions, onEvent: (event: CacheEvent) => void) {
    this.#current = { stage: options.versionStage, versionId: undefined };
    this.#client = options.client;
    this.#onEvent = onEvent;
    this.#flushAfterMs = Math.max(options.shortestIntervalMs / 4, 1);
    const self = new WeakRef(this);
    // A weak reference, so that the core does not keep the cache from being collected.
    const receive = (delivery: Delivery): void => {
      const reader = self.deref();
      if (delivery.ask === undefined && delivery.event === undefined) deliver(delivery);
      else if (reader === undefined) return;
      else if (delivery.ask !== undefined) void reader.#ask(delivery.number, delivery.ask);
      else if (delivery.event !== undefined) reader.#notify(delivery.event);
    };
    try {
      this.native = new native.NativeCache(options.settings, options.client !== undefined, receive);
    } catch (error) {
      throw errorThrown(error);
    }
    this.#changes = this.native.changes;
    const before = this.#changes[0];
    this.native.touch();
    // If memory cannot be shared, no value is known to be valid, and every read asks the core.
    if (this.#changes[0] === before) this.#changes = new Uint32Array(0);
  }

  /** Returns the version with the default staging label if it can be served at once. Counts as a hit. */
  hit(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry !== undefined && this.#isGood(entry) ? entry : undefined;
  }

  /** Like `hit`, for any version. */
  hitVersion(id: string, which: Which): Entry | undefined {
    if (which === this.#current) return this.hit(id);
    const entry = this.#others.get(keyOf(id, which));
    return entry !== undefined && this.#isGood(entry) ? entry : undefined;
  }

  /** Returns the selector for a staging label or version id; with neither, for the default staging label. */
  which(stage: string | undefined, versionId: string | undefined): Which {
    const isCurrent = versionId === undefined && (stage === undefined || stage === this.#current.stage);
    return isCurrent ? this.#current : { stage, versionId };
  }

  /** Reads a version, and fetches it if necessary. Concurrent reads share one request. */
  read(id: string, which: Which): Promise<Entry> {
    this.#check();
    const key = keyOf(id, which);
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    const number = nextNumber();
    const now = coarseNow();
    const begun = this.native.read(number, id, which.stage, which.versionId);
    if (begun.version !== undefined) return Promise.resolve(this.#keep(id, which, begun.version, now));
    const reading = this.#end(number, begun, id).then((delivery) =>
      this.#keep(id, which, delivery.version as Version, coarseNow()),
    );
    this.#pending.set(key, reading);
    const done = (): void => {
      if (this.#pending.get(key) === reading) this.#pending.delete(key);
    };
    reading.then(done, done);
    return reading;
  }

  /** Reads a version last confirmed less than `maxAgeMs` ago; an older one is refreshed first. */
  async readFresh(id: string, which: Which, maxAgeMs: number): Promise<Entry> {
    this.#check();
    if (this.native.isOlder(id, which.stage, which.versionId, maxAgeMs)) await this.refresh(id, which.stage);
    return this.read(id, which);
  }

  /** Fetches a version now, whatever its age. */
  async refresh(id: string, stage: string | undefined): Promise<void> {
    this.#check();
    const number = nextNumber();
    await this.#end(number, this.native.refresh(number, id, stage ?? this.#current.stage), id);
  }

  /** Carries out the step 'refresh' of a connect attempt. */
  async recheck(id: string, stage: string): Promise<void> {
    this.#check();
    const number = nextNumber();
    await this.#end(number, this.native.recheck(number, id, stage), id);
  }

  /** Fetches secrets before they are read, and returns the errors of those that failed. */
  async prefetch(ids: string[]): Promise<Map<string, SecretCacheError>> {
    this.#check();
    const number = nextNumber();
    const { unfetched } = await this.#end(number, this.native.prefetch(number, ids));
    return new Map((unfetched ?? []).map((each) => [each.secretId, this.error(each.failure, each.secretId)]));
  }

  /** Returns the last known value, if there is one. */
  peek(id: string): SecretValue | undefined {
    const entry = this.hit(id);
    if (entry !== undefined) return entry.value;
    if (this.closed) return undefined;
    const now = coarseNow();
    const version = this.native.peek(id, this.#current.stage);
    return version === null ? undefined : this.#keep(id, this.#current, version, now).value;
  }

  invalidate(id: string): void {
    this.native.invalidate(id);
    this.#forget();
    for (const key of this.#pending.keys()) {
      // Later reads must not join requests made before the invalidation.
      if (key.startsWith(`${id}\0`)) this.#pending.delete(key);
    }
  }

  close(): void {
    this.flush();
    this.closed = true;
    this.native.close();
    this.#forget();
  }

  /** Reports the hits that were served here to the core. */
  flush(): void {
    this.#sweep();
    const entries = this.#hitEntries;
    this.#hitEntries = [];
    for (const entry of entries) {
      this.native.noteHits(entry.id, entry.which.stage, entry.which.versionId, entry.hits);
      entry.hits = 0;
    }
  }

  /** Returns the error for a failure that the core reports. */
  error(failure: NonNullable<Delivery['failure']>, secretId?: string): SecretCacheError {
    const own = failure.hostError === undefined ? undefined : this.#hostErrors.get(failure.hostError);
    return own instanceof SecretCacheError ? own : errorFrom(failure, this.#hostErrors, secretId);
  }

  /**
   * Throws if the cache is closed, with the core's text. Closed is only this thread's cache: the core goes on while other
   * threads use it, so it does not refuse the read.
   */
  #check(): void {
    if (this.closed) throw new SecretCacheError('CLOSED', native.closedMessage());
  }

  #isGood(entry: Entry): boolean {
    if (this.#hasChanged(entry) || coarseNow() >= entry.until || clockSteps() !== this.#steps) return false;
    entry.hits += 1;
    if (entry.hits === 1) this.#noteHit(entry);
    return true;
  }

  /** Returns whether a value has changed; always true if memory cannot be shared, because there is no counter then. */
  #hasChanged(entry: Entry): boolean {
    return this.#changes[entry.slot] !== entry.changes;
  }

  #noteHit(entry: Entry): void {
    if (this.#hitEntries.push(entry) > 1) return;
    const later = (self: WeakRef<Reader>): void => self.deref()?.flush();
    setTimeout(later, this.#flushAfterMs, new WeakRef(this)).unref();
  }

  #keep(id: string, which: Which, version: Version, now: number): Entry {
    const entry = new Entry(id, which, version, now + version.servableMs);
    if (clockSteps() !== this.#steps) {
      this.#forget();
      this.#steps = clockSteps();
    }
    if (version.servableMs > 0) {
      if (which === this.#current) this.#entries.set(id, entry);
      else this.#others.set(keyOf(id, which), entry);
      if (this.#entries.size + this.#others.size > this.#sweepAt) this.#sweep();
    }
    return entry;
  }

  /** Drops outdated values, so that those no longer read do not stay in memory. */
  #sweep(): void {
    for (const map of [this.#entries, this.#others]) {
      for (const [key, entry] of map) if (this.#hasChanged(entry)) map.delete(key);
    }
    this.#sweepAt = Math.max(FEW_ENTRIES, 2 * (this.#entries.size + this.#others.size));
  }

  #forget(): void {
    this.#entries.clear();
    this.#others.clear();
  }

  async #end(number: number, begun: Begun, secretId?: string): Promise<Delivery> {
    const delivery = begun.failure === undefined ? await endOf(number) : { number, failure: begun.failure };
    if (delivery.failure !== undefined) throw this.error(delivery.failure, secretId);
    return delivery;
  }

  #notify(event: CacheEvent): void {
    // Drops replaced values now rather than at the next read.
    this.#sweep();
    this.#onEvent(event);
  }

  async #ask(number: number, ask: Ask): Promise<void> {
    const client = this.#client as CommandSender;
    try {
      if (ask.operation === 'DescribeSecret') this.native.answerDescription(number, await describeSecret(client, ask));
      else this.native.answerValue(number, await getSecretValue(client, ask));
    } catch (error) {
      this.native.answerFailure(number, { ...failureOf(error, ask.operation), hostError: this.keepError(error) });
    }
  }

  /** Keeps a JavaScript error, and returns the number by which the core refers to it. */
  keepError(error: unknown): number {
    this.#hostErrorsMade += 1;
    this.#hostErrors.set(this.#hostErrorsMade, error);
    this.#hostErrors.delete(this.#hostErrorsMade - MOST_HOST_ERRORS);
    return this.#hostErrorsMade;
  }
}

function keyOf(id: string, which: Which): string {
  return `${id}\0${which.versionId ?? ''}\0${which.stage ?? ''}`;
}
