/** Calls in progress in the core for this thread, and the delivery of their results. */
import type { Delivery } from './binding';
/** Returns the number for the next call. */
export declare function nextNumber(): number;
/** Waits for the result of a call. Until then the process stays alive; nothing else in this package keeps it alive. */
export declare function endOf(number: number): Promise<Delivery>;
/** Resolves the promise for the call that a delivery belongs to. */
export declare function deliver(delivery: Delivery): void;
/** Settles like the promise, unless the signal is aborted first. The work continues for others who wait for it. */
export declare function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T>;
/** Waits for a time. The timer keeps the process alive, because the program awaits it. */
export declare function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
