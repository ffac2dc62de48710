/** Loads the native module built for this platform. */

import type * as Binding from './binding';

type Attempt = (failed: (error: unknown) => undefined) => unknown;

/**
 * Each `require` has its own `try` and a literal name for the sake of bundlers: they leave a missing module to run time,
 * and can bundle one that exists.
 */
const BUILDS: Readonly<Record<string, readonly Attempt[]>> = {
  'linux-x64': [
    (failed) => {
      try {
        return require('../secretcache.linux-x64-gnu.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-linux-x64-gnu');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('../secretcache.linux-x64-musl.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-linux-x64-musl');
      } catch (error) {
        return failed(error);
      }
    },
  ],
  'linux-arm64': [
    (failed) => {
      try {
        return require('../secretcache.linux-arm64-gnu.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-linux-arm64-gnu');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('../secretcache.linux-arm64-musl.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-linux-arm64-musl');
      } catch (error) {
        return failed(error);
      }
    },
  ],
  'darwin-x64': [
    (failed) => {
      try {
        return require('../secretcache.darwin-x64.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-darwin-x64');
      } catch (error) {
        return failed(error);
      }
    },
  ],
  'darwin-arm64': [
    (failed) => {
      try {
        return require('../secretcache.darwin-arm64.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-darwin-arm64');
      } catch (error) {
        return failed(error);
      }
    },
  ],
  'win32-x64': [
    (failed) => {
      try {
        return require('../secretcache.win32-x64-msvc.node');
      } catch (error) {
        return failed(error);
      }
    },
    (failed) => {
      try {
        return require('secretcache-win32-x64-msvc');
      } catch (error) {
        return failed(error);
      }
    },
  ],
};

/**
 * Loads the module for a platform.
 *
 * @throws {Error} With `code` `SECRETCACHE_NO_BUILD` and the reason why each attempt failed, if none can be loaded.
 */
export function load(platform: string, arch: string): typeof Binding {
  const name = `${platform}-${arch}`;
  const reasons: string[] = [];
  const failed = (error: unknown): undefined => {
    reasons.push(`- ${String((error as Error).message).split('\n')[0]}`);
  };
  for (const attempt of BUILDS[name] ?? []) {
    const found = attempt(failed);
    if (found !== undefined) return found as typeof Binding;
  }
  throw Object.assign(new Error(explanation(name, reasons)), { code: 'SECRETCACHE_NO_BUILD' });
}

function explanation(name: string, reasons: readonly string[]): string {
  if (reasons.length === 0) {
    const known = Object.keys(BUILDS).join(', ');
    return (
      `secretcache has no build for ${name}; there are builds for ${known}. ` +
      'Build one from source (needs Rust): https://github.com/secretcache/secretcache#node'
    );
  }
  return [
    `secretcache has a build for ${name}, but it could not be loaded:`,
    ...reasons,
    'Its package is an optional dependency, which npm leaves out with --omit=optional, or if node_modules was made on ' +
      'another platform. Remove node_modules and the lock file and install again on this platform, without ' +
      '--omit=optional. In a bundle, keep the package external or copy the .node file along (esbuild: ' +
      '--loader:.node=copy).',
  ].join('\n');
}

export const native = load(process.platform, process.arch);
