/** The time as hits see it: looked at once in each turn of the event loop. */

/** How many hits of one turn may share one look. A program that never ends its turn is looked after all the same. */
const MOST_USES = 1024;

/** A wall clock that moves by more than this against the other one was set, or the machine was suspended. */
const STEP_MS = 1000;

let now = 0;
let uses = MOST_USES;
let difference = Date.now() - performance.now();
let steps = 0;

/** Milliseconds since the process started. At most one turn old. */
export function coarseNow(): number {
  uses += 1;
  return uses < MOST_USES ? now : look();
}

/**
 * How often the clocks were seen to disagree. The clock of `coarseNow` stands still while a machine is suspended or a
 * snapshot of it is not running; the wall clock then jumps. What is remembered with an earlier number is of unknown age.
 */
export function clockSteps(): number {
  return steps;
}

function look(): number {
  now = performance.now();
  uses = 0;
  const seen = Date.now() - now;
  // Small differences are the wall clock being steered; they must not add up.
  if (Math.abs(seen - difference) > STEP_MS) steps += 1;
  difference = seen;
  // Runs when everything that this turn set off is done, promises included.
  process.nextTick(endTurn);
  return now;
}

function endTurn(): void {
  uses = MOST_USES;
}
