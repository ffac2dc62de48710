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
    connectTimeoutMs?: number;
}
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
