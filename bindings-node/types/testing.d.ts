/** `secretcache local`, a Secrets Manager endpoint for tests, for node:test, Vitest and Jest. */
/** How to start the endpoint. */
export interface LocalOptions {
    /** Options of the command, such as `['--seed', 'test/secrets.toml']`. */
    args?: readonly string[] | undefined;
    /** The command; the variable `SECRETCACHE_BIN` or `secretcache` on the `PATH` if left out. */
    command?: string | undefined;
}
/** The hooks of a test runner: `before` and `after` of node:test are `beforeAll` and `afterAll` of Vitest and Jest. */
export interface TestHooks {
    before: (run: () => Promise<void>) => unknown;
    beforeEach: (run: () => Promise<void>) => unknown;
    after: (run: () => Promise<void>) => unknown;
}
/** A fault: which requests it hits, and what happens to them. */
export interface Fault {
    effect?: 'throttle' | 'deny' | 'reset' | 'hang' | 'malformed' | {
        error: {
            type: string;
            message?: string;
            status?: number;
        };
    } | {
        stale: {
            seconds: number;
        };
    } | undefined;
    /** The operations it hits, such as `GetSecretValue`; all if left out. */
    operations?: readonly string[] | undefined;
    /** The secret it hits, by name or ARN. */
    secret_id?: string | undefined;
    /** How many requests pass first. */
    after?: number | undefined;
    /** How many it hits. */
    times?: number | undefined;
    /** How long an answer is held back. */
    delay_ms?: number | undefined;
    /** Whether the operation takes effect and only its answer is lost. */
    applied?: boolean | undefined;
}
/** An event of a rotation. */
export interface RotationEvent {
    time: number;
    event: string;
    secret_arn: string;
    secret_name: string;
    version_id: string;
    step?: string;
    message?: string;
    retry_at?: number;
}
/** A running `secretcache local --control`, with its control requests as methods. */
export declare class LocalEndpoint {
    #private;
    /** The endpoint to give to clients. */
    readonly url: string;
    private constructor();
    /**
     * Starts one on a free port of the loopback address. It sets no environment variables: set those in `environment`, or
     * clients go to AWS. `secretcacheLocal` does.
     *
     * @throws {Error} If the command is missing or does not start.
     */
    static start({ args, command }?: LocalOptions): Promise<LocalEndpoint>;
    /**
     * The environment variables that point AWS SDKs to it, with made-up credentials. `NO_PROXY` keeps requests to it from a
     * proxy. With `--tls-cert`, `AWS_CA_BUNDLE` is that file: the certificate must be self-signed, or the file must also
     * contain those of its authorities. AWS's SDK for JavaScript reads only `NODE_EXTRA_CA_CERTS`, when Node starts.
     */
    get environment(): Record<string, string>;
    /** Stops it. */
    close(): Promise<void>;
    /** Restores the state at the start: the seed's secrets, no faults, counts or events, the real time. */
    reset(): Promise<void>;
    /** Adds a fault, and returns the number that `clearFaults` takes. */
    fault(fault: Fault): Promise<number>;
    /** Removes one fault, or all. */
    clearFaults(id?: number): Promise<void>;
    /** Moves its clock forwards. */
    advance(seconds: number): Promise<void>;
    /** Stops its clock, now or at a given time. */
    freeze(at?: Date): Promise<void>;
    /** Starts its clock again. */
    unfreeze(): Promise<void>;
    /** Moves its clock to a secret's next rotation, waits for its end, and returns the event that reports it. */
    nextRotation(secretId: string, timeoutMs?: number): Promise<RotationEvent>;
    /** Rotation events, oldest first. */
    events(): Promise<RotationEvent[]>;
    /** Every secret with its versions and labels, without their values. */
    secrets(): Promise<Array<Record<string, unknown>>>;
    /** How often each operation was called, by outcome. */
    calls(): Promise<Record<string, Record<string, number>>>;
}
/**
 * One endpoint for the tests of a file: started before them, reset before each, stopped after them. Meanwhile,
 * environment variables point AWS SDKs to it.
 *
 * ```js
 * import { after, before, beforeEach, test } from 'node:test'; // Vitest, Jest: { before: beforeAll, beforeEach, after: afterAll }
 * import { secretcacheLocal } from 'secretcache/testing';
 *
 * const local = secretcacheLocal({ before, beforeEach, after }, { args: ['--seed', 'test/secrets.toml'] });
 *
 * test('a throttled read is tried again', async () => {
 *   await local().fault({ effect: 'throttle', times: 1 });
 *   // … clients find it by the environment …
 * });
 * ```
 *
 * @returns A function that returns the endpoint once it has started.
 */
export declare function secretcacheLocal(hooks: TestHooks, options?: LocalOptions): () => LocalEndpoint;
