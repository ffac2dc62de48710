/** What the tests of pools and clients share: real servers, and programs that work while passwords rotate. */

import { eventually, start } from './support.mjs';

/** How often each test rotates, and how long each moment between the steps lasts. */
const ROTATIONS = Number(process.env.SECRETCACHE_ROTATIONS ?? 3);
export const BETWEEN_STEPS_MS = 60;
const WORKERS = 4;

/** Starts a database, and stops it by the end of its input. */
export async function database(kind) {
  const { line, close } = await start('secretcache-databases', [kind], (child) => child.stdin.end());
  return { ...JSON.parse(line), close };
}

/** Lets programs work while secrets rotate, and gives what went wrong for any of them. */
export async function through(rotations, work) {
  const failures = [];
  let done = 0;
  let ended = false;
  const worker = async () => {
    while (!ended) {
      await work().then(
        () => (done += 1),
        (error) => failures.push(error),
      );
      // Whatever fails at once must not keep the rest of the program from running.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const workers = Array.from({ length: WORKERS }, worker);
  await rotations();
  const before = done;
  await eventually(() => done > before + WORKERS || failures.length > 0);
  ended = true;
  await Promise.all(workers);
  return failures;
}

export async function rotations(rotate) {
  const used = [];
  for (let turn = 0; turn < ROTATIONS; turn += 1) used.push(await rotate());
  return used;
}

/** Settings of a cache that sees a rotation soon. */
export const quick = { refreshIntervalMs: 2000, logger: null };
