/** The settings of a cache: what they are, and what is wrong with them. */
import type { Settings } from './binding';
/** AWS credentials. */
export interface StaticCredentials {
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string | undefined;
}
/** A role to assume. */
export interface Role {
    roleArn: string;
    /** The external id that the role's trust policy requires. */
    externalId?: string | undefined;
}
/** An object that sends commands like the AWS SDK's `SecretsManagerClient`. */
export interface CommandSender {
    /** The SDK's own signature is generic over its commands. */
    send(command: any): Promise<any>;
}
/** Where warnings go: `console`, or any logger with this method. Warnings never contain a value. */
export interface Logger {
    /**
     * One line: a value could not be refreshed in time, a fetch failed, or a login used a version other than the current
     * one.
     */
    warn(message: string): void;
}
/** How a cache behaves. All times are in milliseconds. */
export interface CacheOptions {
    /**
     * How long a value counts as fresh; it is refreshed at a random moment in the second half. 0 asks the service on
     * every read. Default: 300 000 (five minutes).
     */
    refreshIntervalMs?: number | undefined;
    /** The refresh intervals of single secrets, by the id that reads use. */
    refreshIntervalsMs?: Readonly<Record<string, number>> | undefined;
    /** How long a read waits for the service if there is a last known value. Default: 2000. */
    maxWaitMs?: number | undefined;
    /** How long the last known value is served while refreshes fail, counted from the last success. Default: no limit. */
    maxStaleMs?: number | undefined;
    /** How many secrets are kept. Default: 1024. */
    maxSize?: number | undefined;
    /** Whether the last known value is also served after the service denies access. Default: true. */
    staleOnDenied?: boolean | undefined;
    /** The staging label to read if a call names none. Default: `AWSCURRENT`. */
    versionStage?: string | undefined;
    /** Where warnings go. Default: Node's own warnings (`process.emitWarning`). `null`: nowhere. */
    logger?: Logger | null | undefined;
}
/** How to reach the service. What you leave out is found as the AWS command line does. */
export interface ConnectionOptions {
    /** The AWS Region; otherwise `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's. */
    region?: string | undefined;
    /** The service's endpoint; otherwise `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL` or the Region's own. */
    endpoint?: string | undefined;
    /** The profile in the AWS configuration files. */
    profile?: string | undefined;
    /** AWS credentials. */
    credentials?: StaticCredentials | undefined;
    /** A role to assume with the credentials, for example in the account that owns the secrets. */
    roleArn?: string | undefined;
    /** The external id that the role's trust policy requires. */
    externalId?: string | undefined;
    /**
     * Further roles to assume, for the secrets whose id, name or ARN as you pass it to a read, begins with the key; the
     * longest key counts. At most 20 roles.
     */
    roles?: Readonly<Record<string, string | Role>> | undefined;
    /**
     * The Regions with replicas of the secrets, in the order in which they are read while a secret's own Region does not answer.
     * If a Region has its own endpoint, write it with the name: `eu-west-1=https://…`.
     */
    fallbackRegions?: readonly string[] | undefined;
    /** How long a Region may take to answer before the next one is asked. Default: 2000. */
    fallbackAfterMs?: number | undefined;
    /** An HTTP proxy; otherwise `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. */
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
     * A `SecretsManagerClient` of the AWS SDK for JavaScript v3, or any object with its method `send`. All calls then go
     * through it. Without one, secrets are fetched natively.
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
