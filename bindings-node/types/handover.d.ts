/** Logins for drivers that open connections on their own and only report how each login went. */
import type { Login, PoolSecret } from './pooling';
/**
 * One attempt to log in that spans as many of the driver's connections as it needs: after a refusal, `login` returns the
 * login to try on the next connection.
 */
export declare class Handover {
    #private;
    constructor(secret: PoolSecret);
    /** Returns the login to use; the same one again if the last connection ended without an answer. */
    login(): Promise<Login>;
    /** Reports that the server accepted the login. */
    accepted(): void;
    /**
     * Reports that the server refused the login. The attempt continues only when the driver asks for the next login, which
     * can be much later, so that this login is up to date.
     */
    refused(error: unknown): void;
    /** Reports that the driver gave up, for a reason other than the login. */
    abandoned(error: unknown): void;
}
