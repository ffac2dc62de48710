/** Copies the built native module to where the package loads it from: `place.mjs debug|release [FOLDER]`. */

import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOME = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILT = { linux: 'libsecretcache_node.so', darwin: 'libsecretcache_node.dylib', win32: 'secretcache_node.dll' };

/** Returns napi-rs's name for this platform. */
function platform() {
  const { platform, arch, report } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

/** Returns Cargo's target folder, which can be configured. */
function target() {
  const output = execFileSync('cargo', ['metadata', '--no-deps', '--format-version', '1'], {
    cwd: HOME,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(output).target_directory;
}

const [profile = 'debug', folder = HOME] = process.argv.slice(2);
copyFileSync(join(target(), profile, BUILT[process.platform]), join(folder, `secretcache.${platform()}.node`));
