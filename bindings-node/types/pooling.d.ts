/** What connection pools have in common: each new connection is one attempt of the plan, and old ones retire. */
import { isRejectedLogin, type SecretCache } from './index';
/** User name and password of one version. */
export interface Login {
    readonly username: string;
    readonly password: string;
    readonly versionId: string | undefined;
}
/** How a pool connects. */
export interface PoolingOptions {
    /** How long one new connection may take through a rotation, in milliseconds. Default: 30 000. */
    connectTimeoutMs?: number | undefined;
}
/**
 * Sets a property that a driver can read and that no log shows: `console.log`, `util.inspect`, `JSON.stringify`, spread and
 * loggers see neither it nor its value.
 */
export declare function conceal(target: object, name: string | symbol, value: unknown): void;
/** Conceals the password in a connection of `pg` or `mysql2`, and in the settings that it keeps. */
export declare function concealPassword(connection: object, password: string): void;
/** A driver's settings without a login: user name and password are the secret's. */
export declare function withoutLogin<T extends object>(settings: T, secretId: string, urls?: readonly string[]): T;
/** The URL of a server without user name. One with a password is refused, for it would be ignored. */
export declare function urlWithoutLogin(name: string, url: string, secretId: string): string;
/** The settings of one connection of `pg`, in which a URL comes before all else. They are the driver's alone, never kept. */
export declare function withLogin<T extends {
    connectionString?: string;
}>(settings: T, { username, password }: Login): T;
/** The credential of one pool. */
export declare class PoolSecret {
    #private;
    /** `retire` is called when there is a new version; connections of others are then to be closed when they are free. */
    constructor(cache: SecretCache, id: string, options: PoolingOptions, retire: () => void);
    /** Opens a connection with the login that works. One that comes after its signal was aborted is `open`'s to close. */
    connect<T>(open: (login: Login, signal: AbortSignal) => Promise<T>): Promise<T>;
    /** Whether connections of a version are to be closed when they are free. */
    isOld(versionId: string | undefined): boolean;
    /** The pool has ended. */
    close(): void;
}
export { isRejectedLogin };
