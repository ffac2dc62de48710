/** Logins for drivers that make their connections by themselves, and only say how each went. */
import type { Login, PoolSecret } from './pooling';
/**
 * One attempt to log in, over as many of the driver's connections as it takes: after a refusal, `login` gives what to try
 * on the next connection.
 */
export declare class Handover {
    #private;
    constructor(secret: PoolSecret);
    /** What to log in with; the same again if a connection has ended without an answer. */
    login(): Promise<Login>;
    accepted(): void;
    /** The attempt goes on when the driver wants the next login, which may be a while later: what it gets is new then. */
    refused(error: unknown): void;
    /** Nobody tries any more, for a reason that has nothing to do with the login. */
    abandoned(error: unknown): void;
}
