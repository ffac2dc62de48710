/** Loads the native module built for this platform. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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
  const errors: unknown[] = [];
  const failed = (error: unknown): undefined => {
    errors.push(error);
  };
  for (const attempt of BUILDS[name] ?? []) {
    const found = attempt(failed);
    if (found !== undefined) return found as typeof Binding;
  }
  throw Object.assign(new Error(explanation(name, errors)), { code: 'SECRETCACHE_NO_BUILD' });
}

const SOURCE = 'https://github.com/secretcache/secretcache';
const FROM_SOURCE = `run \`make node\` in a checkout of ${SOURCE} (needs Rust) and install dist/secretcache-*.tgz`;

function explanation(name: string, errors: readonly unknown[]): string {
  if (errors.length === 0) {
    const known = Object.keys(BUILDS).join(', ');
    return (
      `secretcache has no build for ${name}; there are builds for ${known}. To add one, extend ts/native.ts and ` +
      `tools/place.mjs in bindings-node of a checkout of ${SOURCE}, and run \`make node\` (needs Rust)`
    );
  }
  const reasons = errors.map((error) => `- ${String((error as Error).message).split('\n')[0]}`);
  return [`secretcache cannot load a native module for ${name}:`, ...reasons, advice(errors)].join('\n');
}

/** Says what to do, as far as the errors and the way the package was installed show it. */
function advice(errors: readonly unknown[]): string {
  if (!errors.every(isMissing)) {
    return (
      'A module is there, but this system cannot load it. Released modules for Linux need glibc 2.28 or newer, or musl; one ' +
      `built from source needs a system like the one that built it. To build one on this system, ${FROM_SOURCE}`
    );
  }
  switch (origin()) {
    case 'release':
      return (
        'The module comes in an optional dependency, which npm leaves out with --omit=optional, or if node_modules was made on ' +
        'another platform. Remove node_modules and the lock file and install again on this platform, without ' +
        '--omit=optional.'
      );
    case 'source':
      return (
        'This copy was packed from source and contains at most the module of the platform it was packed on. Install a ' +
        `released package. Or pack one on this platform: ${FROM_SOURCE}`
      );
    case 'bundle':
      return (
        'In a bundle, keep the package external or copy the .node file along (esbuild: --loader:.node=copy). Install the ' +
        'package on the platform that runs the bundle, without --omit=optional.'
      );
  }
}

function isMissing(error: unknown): boolean {
  // Also in Bun, Deno, Jest and webpack's bundles.
  return (error as { code?: unknown }).code === 'MODULE_NOT_FOUND';
}

/** Returns how this copy was made. A release lists the modules' packages as optional dependencies; a bundle has no manifest. */
function origin(): 'release' | 'source' | 'bundle' {
  try {
    // Read rather than required: a bundler would copy it, and in the package itself it changes after bundling.
    const { name, optionalDependencies } = JSON.parse(readFileSync(join(__dirname, '..', 'package.json'), 'utf8'));
    if (name === 'secretcache') return optionalDependencies === undefined ? 'source' : 'release';
  } catch {
    // `__dirname` does not exist in an ES module, or the file does not exist next to a bundle.
  }
  return 'bundle';
}

export const native = load(process.platform, process.arch);
