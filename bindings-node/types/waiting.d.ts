/** What is under way in the core on behalf of this thread, and how its end gets here. */
import type { Delivery } from './binding';
/** A number for something that is about to begin. */
export declare function nextNumber(): number;
/** Waits for the end of what began under a number. Meanwhile the process does not end; nothing else of ours keeps it. */
export declare function endOf(number: number): Promise<Delivery>;
/** Something that began here has ended. */
export declare function deliver(delivery: Delivery): void;
/** The same end, unless the signal is aborted first: what was begun continues for others who wait for it. */
export declare function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T>;
/** Waits so long. A program waits for it, so it keeps the process alive. */
export declare function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
