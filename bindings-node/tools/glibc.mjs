/**
 * The oldest glibc that a module of Linux runs with: `glibc.mjs MODULE [FLOOR]`. Fails if that is newer than FLOOR.
 *
 * A module names the versions of the symbols it needs as strings such as GLIBC_2.28.
 */

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** What the package promises: the glibc that Node 20 itself needs. */
export const FLOOR = '2.28';

/** The newest version named, or undefined where none is, as with musl. */
export function glibcOf(module) {
  const names = readFileSync(module)
    .toString('latin1')
    .matchAll(/GLIBC_(\d+)\.(\d+)/g);
  const minors = [...names].filter(([, major]) => major === '2').map(([, , minor]) => Number(minor));
  return minors.length === 0 ? undefined : `2.${Math.max(...minors)}`;
}

/** Whether a version is newer than another. */
export function isNewer(version, other) {
  return Number(version.split('.')[1]) > Number(other.split('.')[1]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [module, floor = FLOOR] = process.argv.slice(2);
  const found = glibcOf(module);
  if (found === undefined || isNewer(found, floor)) {
    console.error(`glibc.mjs: ${module} needs glibc ${found ?? '(none named)'}, and the package promises ${floor}`);
    process.exitCode = 1;
  } else {
    console.log(`${module} runs with glibc ${found} or newer`);
  }
}
