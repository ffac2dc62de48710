/** Writes `ts/binding.ts` from the type definitions that the last build of the crate generated. */

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { generateTypeDef } from '@napi-rs/cli';

const HOME = dirname(dirname(fileURLToPath(import.meta.url)));

const { dts } = await generateTypeDef({ typeDefDir: join(HOME, '..', 'target', 'napi-types'), cwd: HOME });
if (!dts.includes('class NativeCache')) {
  console.error('types.mjs: the build has generated no types; touch bindings-node/src/lib.rs and run `make build`');
  process.exit(1);
}
writeFileSync(join(HOME, 'ts', 'binding.ts'), dts);
