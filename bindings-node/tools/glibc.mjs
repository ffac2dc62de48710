/**
 * Prints the oldest glibc that a Linux module runs with: `glibc.mjs MODULE [FLOOR]`. Fails if it is newer than FLOOR.
 *
 * A module contains the versions of the symbols it needs as strings such as GLIBC_2.28.
 */

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** The oldest glibc the package supports, which is what Node 20 itself needs. */
export const FLOOR = '2.28';

/** Returns the newest glibc version that a module needs; undefined if it needs none, as with musl. */
export function glibcOf(module) {
  const names = readFileSync(module)
    .toString('latin1')
    .matchAll(/GLIBC_(\d+)\.(\d+)/g);
  const minors = [...names].filter(([, major]) => major === '2').map(([, , minor]) => Number(minor));
  return minors.length === 0 ? undefined : `2.${Math.max(...minors)}`;
}

/** Returns whether a version is newer than another. */
export function isNewer(version, other) {
  return Number(version.split('.')[1]) > Number(other.split('.')[1]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [module, floor = FLOOR] = process.argv.slice(2);
  const found = glibcOf(module);
  if (found === undefined || isNewer(found, floor)) {
    console.error(`glibc.mjs: ${module} needs glibc ${found ?? '(none found)'}, but the package promises ${floor}`);
    process.exitCode = 1;
  } else {
    console.log(`${module} runs with glibc ${found} or newer`);
  }
}
