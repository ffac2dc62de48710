#!/usr/bin/env node
/** Runs the command that was installed for this platform, and ends as it ends. */

const { spawn } = require('node:child_process');
const { constants } = require('node:os');

const platform = `${process.platform}-${process.arch}`;
const program = process.platform === 'win32' ? 'secretcache.exe' : 'secretcache';

function find() {
  try {
    return require.resolve(`secretcache-cli-${platform}/${program}`);
  } catch {
    const name = `secretcache-cli-${platform}`;
    console.error(
      `secretcache: the package ${name} is not installed. Install without --omit=optional; if there is no such ` +
        'package, build the command: cargo install secretcache-cli',
    );
    process.exit(1);
  }
}

const child = spawn(find(), process.argv.slice(2), { stdio: 'inherit' });
// Passed on; what a terminal sends reaches the command twice, which makes no difference to it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`secretcache: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
