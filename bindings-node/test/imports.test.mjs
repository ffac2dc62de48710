/** Checks what each module of the package loads: no integration loads another's driver, and the cache loads none. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

import { PACKAGE } from './support.mjs';

const { devDependencies, exports } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));

/** The drivers and frameworks that each module loads on import. All others are loaded on first use, or never. */
const LOADED = {
  '.': [],
  './fetch': [],
  './ioredis': ['ioredis'],
  './knex': ['knex'],
  './mariadb': [],
  './middy': [],
  './mysql2': ['mysql2'],
  './nestjs': [],
  './pg': ['pg'],
  './postgres': [],
  './redis': ['redis'],
  './sequelize': [],
  './testing': [],
  './typeorm': [],
};

it('every module is in the table', () => {
  assert.deepEqual(
    Object.keys(LOADED),
    Object.keys(exports)
      .filter((name) => name !== './package.json')
      .sort(),
  );
});

for (const [module, expected] of Object.entries(LOADED)) {
  it(`secretcache${module.slice(1)} loads ${expected.join(' and ') || 'no driver'}`, () => {
    const program = `require('secretcache${module.slice(1)}'); console.log(JSON.stringify(Object.keys(require.cache)))`;
    const files = JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: PACKAGE, encoding: 'utf8' }));
    const packages = files.map((file) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
    assert.deepEqual(
      Object.keys(devDependencies)
        .filter((name) => packages.includes(name))
        .sort(),
      expected,
    );
  });
}

it('the cache loads none of the integrations', () => {
  const program = `require('secretcache'); console.log(JSON.stringify(Object.keys(require.cache)))`;
  const files = JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: PACKAGE, encoding: 'utf8' }));
  const integrations = Object.keys(exports)
    .filter((name) => name !== '.')
    .map((name) => `${join(PACKAGE, 'lib', name)}.js`);
  assert.deepEqual(
    integrations.filter((file) => files.includes(file)),
    [],
  );
});
