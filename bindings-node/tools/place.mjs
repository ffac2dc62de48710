/** Puts the built extension module where the package looks for it: `place.mjs debug|release [FOLDER]`. */

import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOME = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILT = { linux: 'libsecretcache_node.so', darwin: 'libsecretcache_node.dylib', win32: 'secretcache_node.dll' };

/** As napi-rs names platforms. */
function platform() {
  const { platform, arch, report } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

const [profile = 'debug', folder = HOME] = process.argv.slice(2);
copyFileSync(join(HOME, '..', 'target', profile, BUILT[process.platform]), join(folder, `secretcache.${platform()}.node`));
