/** Shared by the tests of pools and clients: real servers, and workers that run while passwords rotate. */

import { eventually, start } from './support.mjs';

/** How often each test rotates, and how long the pauses between the steps are. */
const ROTATIONS = Number(process.env.SECRETCACHE_ROTATIONS ?? 3);
export const BETWEEN_STEPS_MS = 60;
const WORKERS = 4;

/** Starts a database. `close` stops it by ending its input. */
export async function database(kind) {
  const { line, close } = await start('secretcache-databases', [kind], (child) => child.stdin.end());
  return { ...JSON.parse(line), close };
}

/** Runs workers while secrets rotate, and returns the errors of all of them. */
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
      // Work that fails immediately must not starve the event loop.
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

/** Rotates several times, and returns the new logins. */
export async function rotations(rotate) {
  const used = [];
  for (let turn = 0; turn < ROTATIONS; turn += 1) used.push(await rotate());
  return used;
}

/** Settings of a cache that notices a rotation quickly. */
export const quick = { refreshIntervalMs: 2000, logger: null };
