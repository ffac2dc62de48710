/** The settings of a cache, and their validation. */
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
    /** Sends a command and returns its output. Untyped, because the SDK's signature is generic over its commands. */
    send(command: any): Promise<any>;
}
/** A logger for warnings: `console`, or any object with this method. Warnings never contain a value. */
export interface Logger {
    /**
     * Logs one line: a value could not be refreshed in time, a fetch failed, or a login used a version other than the
     * current one.
     */
    warn(message: string): void;
}
/** Settings for how a cache behaves. All times are in milliseconds. */
export interface CacheOptions {
    /**
     * How long a value counts as fresh; it is refreshed at a random moment in the second half. 0 asks the service on
     * every read. Default: 300 000 (five minutes).
     */
    refreshIntervalMs?: number | undefined;
    /** Refresh intervals of individual secrets, by the id that reads use. */
    refreshIntervalsMs?: Readonly<Record<string, number>> | undefined;
    /** How long a read waits for the service if there is a last known value. Default: 2000. */
    maxWaitMs?: number | undefined;
    /** How long the last known value is served while refreshes fail, counted from the last success. Default: no limit. */
    maxStaleMs?: number | undefined;
    /** How many secrets are kept. Default: 1024. */
    maxSize?: number | undefined;
    /** Whether the last known value is still served after the service denies access. Default: true. */
    staleOnDenied?: boolean | undefined;
    /** The staging label to read if a call names none. Default: `AWSCURRENT`. */
    versionStage?: string | undefined;
    /** Where warnings go. Default: Node's own warnings (`process.emitWarning`). `null`: nowhere. */
    logger?: Logger | null | undefined;
}
/** Settings for how to reach the service. Those you leave out are resolved as by the AWS command line. */
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
     * Further roles to assume. A role applies to secrets whose id, as you pass it to a read (name or ARN), begins with the
     * key; the longest matching key wins. At most 20 roles.
     */
    roles?: Readonly<Record<string, string | Role>> | undefined;
    /**
     * The Regions with replicas of the secrets, in the order in which to try them while a secret's own Region does not
     * respond. To set a Region's endpoint, append it: `eu-west-1=https://…`.
     */
    fallbackRegions?: readonly string[] | undefined;
    /** How long a Region may take to respond before the next one is asked. Default: 2000. */
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
     * A `SecretsManagerClient` of the AWS SDK for JavaScript v3, or any object with its `send` method, for all calls.
     * Without one, secrets are fetched natively.
     */
    client?: CommandSender | undefined;
}
/** The validated options. */
export interface ReadOptions {
    readonly settings: Settings;
    readonly client: CommandSender | undefined;
    readonly versionStage: string;
    readonly logger: Logger | null | undefined;
    /** The shortest refresh interval. */
    readonly shortestIntervalMs: number;
}
/** Limits that tests lower, to run in less time. */
export declare const limits: {
    shortestIntervalMs: number;
};
/** Validates the options of a cache. */
export declare function readOptions(options?: SecretCacheOptions): ReadOptions;
/** Returns a number of milliseconds, or throws a `TypeError` that suggests what was probably meant. */
export declare function readDuration(name: string, value: unknown, shortest?: number): number;
