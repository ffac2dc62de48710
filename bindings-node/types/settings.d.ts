/** The settings of a cache: what they are, and what is wrong with them. */
import type { Settings } from './binding';
/** Credentials to use as they are. */
export interface StaticCredentials {
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string | undefined;
}
/** Anything that sends commands as the AWS SDK's `SecretsManagerClient` does. */
export interface CommandSender {
    /** The SDK's own signature is generic over its commands. */
    send(command: any): Promise<any>;
}
/** Where warnings go: `console`, or any logger with this method. They never hold a value. */
export interface Logger {
    /** One line: a secret is served stale, cannot be fetched, or logged in with another version than the current one. */
    warn(message: string): void;
}
/** How a cache behaves. All times are milliseconds, as their names say. */
export interface CacheOptions {
    /**
     * How long a value counts as fresh; each is refreshed at a random moment between half of this and all of it. 0 asks the
     * service on every read. Default: 300 000 (five minutes).
     */
    refreshIntervalMs?: number | undefined;
    /** The refresh intervals of single secrets, by the id they are asked for with. */
    refreshIntervalsMs?: Readonly<Record<string, number>> | undefined;
    /** How long a read waits for the service when a last-known value exists. Default: 2000. */
    maxWaitMs?: number | undefined;
    /** How long after its last confirmation a value may still be served while it cannot be refreshed. Default: for ever. */
    maxStaleMs?: number | undefined;
    /** How many secrets are kept. Default: 1024. */
    maxSize?: number | undefined;
    /** Whether the last-known value is also served once the service denies it to this caller. Default: true. */
    staleOnDenied?: boolean | undefined;
    /** The staging label that is read when a call names none. Default: `AWSCURRENT`. */
    versionStage?: string | undefined;
    /** Where warnings go. Default: Node's own warnings (`process.emitWarning`). `null`: nowhere. */
    logger?: Logger | null | undefined;
}
/** How the service is reached. What is not given is found as the AWS command line finds it. */
export interface ConnectionOptions {
    /** The AWS Region; otherwise `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's. */
    region?: string | undefined;
    /** The service's endpoint; otherwise `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL` or the Region's own. */
    endpoint?: string | undefined;
    /** The profile in the AWS configuration files. */
    profile?: string | undefined;
    /** Credentials to use as they are. */
    credentials?: StaticCredentials | undefined;
    /** A role to assume with the credentials found, for instance in the account that owns the secrets. */
    roleArn?: string | undefined;
    /** The external id that the role's trust policy asks for. */
    externalId?: string | undefined;
    /** An HTTP proxy; otherwise `HTTPS_PROXY` and its like. */
    proxyUrl?: string | undefined;
    /** A file of PEM certificates to trust instead of the system's; otherwise `AWS_CA_BUNDLE`. */
    caBundle?: string | undefined;
    /** Whether to use the FIPS endpoint. */
    useFips?: boolean | undefined;
    /** How long one operation may take with all its retries. Default: 5000. */
    timeoutMs?: number | undefined;
}
/** Settings of a `SecretCache`. */
export interface SecretCacheOptions extends CacheOptions, ConnectionOptions {
    /**
     * A `SecretsManagerClient` of the AWS SDK for JavaScript v3 (anything with its method `send`), which is then the only
     * thing that talks to the service. Without one, secrets are fetched natively.
     */
    client?: CommandSender | undefined;
}
/** What the options come to. */
export interface ReadOptions {
    readonly settings: Settings;
    readonly client: CommandSender | undefined;
    readonly versionStage: string;
    readonly logger: Logger | null | undefined;
    /** The shortest refresh interval. */
    readonly shortestIntervalMs: number;
}
/** Limits that tests lower, to see a long time pass in a short one. */
export declare const limits: {
    shortestIntervalMs: number;
};
/** Reads the options of a cache. */
export declare function readOptions(options?: SecretCacheOptions): ReadOptions;
/** A number of milliseconds, or a TypeError that says what was probably meant. */
export declare function readDuration(name: string, value: unknown, shortest?: number): number;
