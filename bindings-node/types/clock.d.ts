/** The time as hits see it: looked at once in each turn of the event loop. */
/** Milliseconds since the process started. At most one turn old. */
export declare function coarseNow(): number;
/**
 * How often the clocks were seen to disagree. The clock of `coarseNow` stands still while a machine is suspended or a
 * snapshot of it is not running; the wall clock then jumps. What is remembered with an earlier number is of unknown age.
 */
export declare function clockSteps(): number;
