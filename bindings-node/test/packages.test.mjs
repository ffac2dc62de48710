/** The published packages: packs them, installs them into an empty project, and runs them. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { PACKAGE } from './support.mjs';

const { napi, version } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
const PLATFORMS = [
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
];
const NOTICES = ['THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'];

/** Packs a release from this platform's module, with dummy files for the other platforms. */
function release(t, without = undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [artifacts, output] = [join(folder, 'artifacts'), join(folder, 'output')];
  mkdirSync(artifacts);
  for (const platform of PLATFORMS.filter((platform) => platform !== without)) {
    const name = `secretcache.${platform}.node`;
    // Without debug symbols, which are most of the file.
    if (readdirSync(PACKAGE).includes(name)) execFileSync('strip', ['-o', join(artifacts, name), join(PACKAGE, name)]);
    else writeFileSync(join(artifacts, name), 'of another platform');
    const notices = join(artifacts, 'notices', platform);
    mkdirSync(notices, { recursive: true });
    for (const notice of NOTICES) writeFileSync(join(notices, notice), platform);
  }
  execFileSync(join(PACKAGE, 'tools', 'release'), [artifacts, output], { stdio: 'pipe' });
  return output;
}

it('a release has a package for each platform, and the main one installs with this platform’s', (t) => {
  const output = release(t);
  assert.equal(napi.targets.length, PLATFORMS.length);
  const expected = [...PLATFORMS.map((platform) => `secretcache-${platform}-${version}.tgz`), `secretcache-${version}.tgz`];
  assert.deepEqual(readdirSync(output).sort(), expected.sort());
  const root = join(output, `secretcache-${version}.tgz`);
  const list = (tarball) => execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' });
  assert.doesNotMatch(list(root), /\.node$/m);
  for (const platform of PLATFORMS) {
    const tarball = join(output, `secretcache-${platform}-${version}.tgz`);
    for (const notice of NOTICES)
      assert.equal(execFileSync('tar', ['xzOf', tarball, `package/${notice}`], { encoding: 'utf8' }), platform);
    assert.match(list(tarball), /^package\/LICENSE$/m);
  }
  const manifest = JSON.parse(execFileSync('tar', ['xzOf', root, 'package/package.json'], { encoding: 'utf8' }));
  const optional = Object.fromEntries(PLATFORMS.map((platform) => [`secretcache-${platform}`, version]));
  assert.deepEqual(manifest.optionalDependencies, optional);
  assert.deepEqual(manifest.publishConfig, { access: 'public', provenance: true });
  const here = PLATFORMS.find((platform) => readdirSync(PACKAGE).includes(`secretcache.${platform}.node`));
  execFileSync(join(PACKAGE, 'tools', 'try'), [root, join(output, `secretcache-${here}-${version}.tgz`)], { stdio: 'pipe' });
});

it('a release fails if a platform’s module is missing', (t) => {
  assert.throws(() => release(t, 'darwin-arm64'), /secretcache\.darwin-arm64\.node/);
});

describe('a TypeScript program without settings', () => {
  let folder;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'secretcache-'));
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, '@types'), { recursive: true });
    execFileSync(join(PACKAGE, 'tools', 'stage'), [join(modules, 'secretcache')]);
    symlinkSync(join(PACKAGE, 'node_modules', '@types', 'node'), join(modules, '@types', 'node'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Compiles a program, with the declarations that it uses. Returns the compiler's messages. */
  const compile = (name, text) => {
    writeFileSync(join(folder, name), text);
    const tsc = join(PACKAGE, 'node_modules', '.bin', 'tsc');
    const options = ['--noEmit', '--strict', '--module', 'nodenext'];
    return spawnSync(tsc, [...options, name], { cwd: folder, encoding: 'utf8' }).stdout;
  };

  for (const ending of ['mts', 'cts']) {
    it(`reads a secret in a .${ending} file`, () => {
      const text = `import { SecretCache } from 'secretcache';
        export const value: Promise<string> = new SecretCache().getSecretString('prod/db');`;
      assert.equal(compile(`main.${ending}`, text), '');
    });
  }

  // The others need the types of their drivers.
  for (const entry of ['fetch', 'middy', 'nestjs', 'sequelize', 'testing', 'typeorm']) {
    it(`imports secretcache/${entry}`, () => {
      assert.equal(compile(`${entry}.mts`, `export * from 'secretcache/${entry}';`), '');
    });
  }

  it('without @types/node fails with an error that names it', () => {
    rmSync(join(folder, 'node_modules', '@types', 'node'));
    assert.match(compile('main.mts', `export * from 'secretcache';`), /Cannot find type definition file for 'node'/);
  });
});

it('N15: a build is found in Cargo’s configured target folder', (t) => {
  const [target, folder] = [mkdtempSync(join(tmpdir(), 'secretcache-')), mkdtempSync(join(tmpdir(), 'secretcache-'))];
  t.after(() => [target, folder].forEach((each) => void rmSync(each, { recursive: true })));
  mkdirSync(join(target, 'debug'));
  for (const name of ['libsecretcache_node.so', 'libsecretcache_node.dylib', 'secretcache_node.dll']) {
    writeFileSync(join(target, 'debug', name), 'built elsewhere');
  }
  const env = { ...process.env, CARGO_TARGET_DIR: target };
  execFileSync(process.execPath, [join(PACKAGE, 'tools', 'place.mjs'), 'debug', folder], { env });
  const [placed] = readdirSync(folder);
  assert.equal(readFileSync(join(folder, placed), 'utf8'), 'built elsewhere');
});
