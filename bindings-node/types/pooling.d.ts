/** Shared by all connection pools: every new connection is one `connect`, and connections of older versions are retired. */
import { isRejectedLogin, type SecretCache } from './index';
/** The user name and password of one version. */
export interface Login {
    readonly username: string;
    readonly password: string;
    readonly versionId: string | undefined;
}
/** Options for how a pool connects. */
export interface PoolingOptions {
    /** How long one new connection may take through a rotation, in milliseconds. Default: 30 000. */
    connectTimeoutMs?: number | undefined;
}
/**
 * Sets a property that drivers can read but `console.log`, `util.inspect`, `JSON.stringify`, spread and loggers do not
 * see.
 */
export declare function conceal(target: object, name: string | symbol, value: unknown): void;
/** Conceals the password in a `pg` or `mysql2` connection and in the settings it keeps. */
export declare function concealPassword(connection: object, password: string): void;
/** Returns a driver's settings without user name. Throws if they contain a password: the login comes from the secret. */
export declare function withoutLogin<T extends object>(settings: T, secretId: string, urls?: readonly string[]): T;
/** Returns a server's URL without user name. Throws if it contains a password, because that would be ignored. */
export declare function urlWithoutLogin(name: string, url: string, secretId: string): string;
/**
 * Returns the settings of one connection with a login. It is added to the URL too, because in `pg` a URL overrides the
 * other settings. Only the driver gets the result; it is never stored.
 */
export declare function withLogin<T extends {
    connectionString?: string;
}>(settings: T, { username, password }: Login): T;
/** The secret of one pool, watched until the pool ends. */
export declare class PoolSecret {
    #private;
    /** `retire` is called for each new version, and closes the free connections of other versions. */
    constructor(cache: SecretCache, id: string, options: PoolingOptions, retire: () => void);
    /** Opens a connection with a login that works. If the signal is aborted first, `open` must close the connection. */
    connect<T>(open: (login: Login, signal: AbortSignal) => Promise<T>): Promise<T>;
    /** Returns whether connections of a version should be closed when they are free. */
    isOld(versionId: string | undefined): boolean;
    /** Ends the watch. Call it when the pool ends. */
    close(): void;
}
export { isRejectedLogin };
