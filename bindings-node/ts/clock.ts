/** A cheap clock for hits: reads the time once per turn of the event loop. */

/** How many hits of one turn can share a reading, so that the clock also advances in a turn that never ends. */
const MOST_USES = 1024;

/** If the wall clock moves by more than this relative to the monotonic one, it was set or the machine was suspended. */
const STEP_MS = 1000;

let now = 0;
let uses = MOST_USES;
let difference = Date.now() - performance.now();
let steps = 0;

/** Returns the milliseconds since the process started, at most one turn of the event loop old. */
export function coarseNow(): number {
  uses += 1;
  return uses < MOST_USES ? now : look();
}

/**
 * Returns how often the wall clock has jumped relative to the clock of `coarseNow`, which stops while the machine is
 * suspended or saved as a snapshot. A value cached under an earlier number is of unknown age.
 */
export function clockSteps(): number {
  return steps;
}

function look(): number {
  now = performance.now();
  uses = 0;
  const seen = Date.now() - now;
  // Small differences come from gradual adjustments of the wall clock and must not add up.
  if (Math.abs(seen - difference) > STEP_MS) steps += 1;
  difference = seen;
  // Runs after everything this turn started, promises included.
  process.nextTick(endTurn);
  return now;
}

function endTurn(): void {
  uses = MOST_USES;
}
