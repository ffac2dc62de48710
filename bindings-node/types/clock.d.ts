/** A cheap clock for hits: reads the time once per turn of the event loop. */
/** Returns the milliseconds since the process started, at most one turn of the event loop old. */
export declare function coarseNow(): number;
/**
 * Returns how often the wall clock has jumped relative to the clock of `coarseNow`, which stops while the machine is
 * suspended or saved as a snapshot. A value cached under an earlier number is of unknown age.
 */
export declare function clockSteps(): number;
