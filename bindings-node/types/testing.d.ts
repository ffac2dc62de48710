/** `secretcache local`, a Secrets Manager endpoint for tests with node:test, Vitest and Jest. */
/** Options for starting the endpoint. */
export interface LocalOptions {
    /** Options of the command, such as `['--seed', 'test/secrets.toml']`. */
    args?: readonly string[] | undefined;
    /** The command. Default: the environment variable `SECRETCACHE_BIN`, or `secretcache` on the `PATH`. */
    command?: string | undefined;
}
/** The hooks of a test runner: `before` and `after` of node:test are `beforeAll` and `afterAll` of Vitest and Jest. */
export interface TestHooks {
    before: (run: () => Promise<void>) => unknown;
    beforeEach: (run: () => Promise<void>) => unknown;
    after: (run: () => Promise<void>) => unknown;
}
/** A fault: which requests it affects, and what happens to them. */
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
    /** The operations it affects, such as `GetSecretValue`. Default: all. */
    operations?: readonly string[] | undefined;
    /** The secret it affects, by name or ARN. */
    secret_id?: string | undefined;
    /** How many requests pass unaffected first. */
    after?: number | undefined;
    /** How many requests it affects. */
    times?: number | undefined;
    /** How long the response is delayed, in milliseconds. */
    delay_ms?: number | undefined;
    /** Whether the operation takes effect and only its response is lost. */
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
     * Starts an endpoint on a free loopback port. It sets no environment variables: set those in `environment`, or clients
     * connect to AWS. `secretcacheLocal` sets them.
     *
     * @throws {Error} If the command is missing or does not start.
     */
    static start({ args, command }?: LocalOptions): Promise<LocalEndpoint>;
    /**
     * The environment variables that point AWS SDKs to the endpoint, with dummy credentials. `NO_PROXY` makes requests
     * bypass a proxy. With `--tls-cert`, `AWS_CA_BUNDLE` is that file: the certificate must be self-signed, or the file
     * must also contain its CA certificates. AWS's SDK for JavaScript reads only `NODE_EXTRA_CA_CERTS`, when Node starts.
     */
    get environment(): Record<string, string>;
    /** Stops the endpoint. */
    close(): Promise<void>;
    /** Restores the initial state: the seed's secrets, the real time, and no faults, counts or events. */
    reset(): Promise<void>;
    /** Adds a fault, and returns the number that `clearFaults` takes. */
    fault(fault: Fault): Promise<number>;
    /** Removes one fault, or all. */
    clearFaults(id?: number): Promise<void>;
    /** Moves the endpoint's clock forward. */
    advance(seconds: number): Promise<void>;
    /** Stops the endpoint's clock, at the current or a given time. */
    freeze(at?: Date): Promise<void>;
    /** Starts the endpoint's clock again. */
    unfreeze(): Promise<void>;
    /** Moves the clock to a secret's next rotation, waits for it to end, and returns the event that reports it. */
    nextRotation(secretId: string, timeoutMs?: number): Promise<RotationEvent>;
    /** Returns the rotation events, oldest first. */
    events(): Promise<RotationEvent[]>;
    /** Returns every secret with its versions and labels, without values. */
    secrets(): Promise<Array<Record<string, unknown>>>;
    /** Returns how often each operation was called, by outcome. */
    calls(): Promise<Record<string, Record<string, number>>>;
}
/**
 * Provides one endpoint for the tests of a file: it is started before them, reset before each, and stopped after them.
 * While it runs, environment variables point AWS SDKs to it.
 *
 * ```js
 * import { after, before, beforeEach, test } from 'node:test'; // Vitest, Jest: { before: beforeAll, beforeEach, after: afterAll }
 * import { secretcacheLocal } from 'secretcache/testing';
 *
 * const local = secretcacheLocal({ before, beforeEach, after }, { args: ['--seed', 'test/secrets.toml'] });
 *
 * test('a throttled read is tried again', async () => {
 *   await local().fault({ effect: 'throttle', times: 1 });
 *   // … clients find the endpoint through the environment …
 * });
 * ```
 *
 * @returns A function that returns the endpoint once it has started.
 */
export declare function secretcacheLocal(hooks: TestHooks, options?: LocalOptions): () => LocalEndpoint;
