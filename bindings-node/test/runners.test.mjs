/** The fixture under Jest and Vitest, in projects that have the runner and the package installed. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { PACKAGE, ROOT } from './support.mjs';

const RUNNERS = join(ROOT, 'target', 'local-node');

/** The tests of each project, which differ only in imports and the names of the hooks. */
const TESTS = `
const create = async (name) => {
  const response = await fetch(process.env.AWS_ENDPOINT_URL_SECRETS_MANAGER, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'secretsmanager.CreateSecret' },
    body: JSON.stringify({ Name: name, ClientRequestToken: crypto.randomUUID() }),
  });
  return response.status;
};
const names = async () => (await local().secrets()).map((secret) => secret.name);
test.each([1, 2])('starts with the seed (%i)', async () => {
  expect(await names()).toEqual(['seeded']);
  expect(await create('db')).toBe(200);
  expect(await names()).toEqual(['db', 'seeded']);
});
test('faults and the clock', async () => {
  await local().fault({ effect: 'throttle', times: 1 });
  await local().freeze(new Date(1_900_000_000_000));
  expect(await create('x')).toBe(400);
  expect(await create('x')).toBe(200);
  expect((await local().secrets()).find((secret) => secret.name === 'x').created).toBe(1_900_000_000);
});
`;
const HOOKS = "{ before: beforeAll, beforeEach, after: afterAll }, { args: ['--seed', 'seed.json'] }";

async function project(files) {
  const folder = await mkdtemp(join(RUNNERS, 'project-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(PACKAGE, join(folder, 'node_modules', 'secretcache'), 'dir');
  const seed = JSON.stringify({ secrets: [{ name: 'seeded', string: 'x' }] });
  for (const [name, content] of Object.entries({ 'package.json': '{}', 'seed.json': seed, ...files })) {
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** Runs a test runner in a project, and returns its report. */
async function report(files, program, ...args) {
  const folder = await project(files);
  try {
    const command = join(ROOT, 'target', 'debug', 'secretcache');
    const env = { ...process.env, SECRETCACHE_BIN: command, NODE_OPTIONS: '', CI: 'true' };
    delete env.NODE_TEST_CONTEXT;
    const run = promisify(execFile)(process.execPath, [join(RUNNERS, 'node_modules', ...program), ...args], {
      cwd: folder,
      env,
    });
    const { stdout, stderr } = await run.catch((error) => error);
    return JSON.parse(stdout.slice(stdout.indexOf('{')) || assert.fail(stderr));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('Jest runs the fixture', async () => {
  const files = {
    'jest.config.js': 'module.exports = { testEnvironment: "node", watchman: false };',
    'local.test.js': `const { secretcacheLocal } = require('secretcache/testing');\nconst local = secretcacheLocal(${HOOKS});${TESTS}`,
  };
  const { success, numPassedTests, testResults } = await report(files, ['jest', 'bin', 'jest.js'], '--json', '--runInBand');
  assert.deepEqual([success, numPassedTests], [true, 3], JSON.stringify(testResults, null, 1));
});

test('Vitest runs the fixture', async () => {
  const files = {
    'local.test.mjs': `import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { secretcacheLocal } from 'secretcache/testing';
const local = secretcacheLocal(${HOOKS});${TESTS}`,
  };
  const { success, numPassedTests, testResults } = await report(files, ['vitest', 'vitest.mjs'], 'run', '--reporter=json');
  assert.deepEqual([success, numPassedTests], [true, 3], JSON.stringify(testResults, null, 1));
});
