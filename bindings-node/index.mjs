/**
 * The entry point for `import`: the same module as `require` returns.
 *
 * It also loads the module with `require`: otherwise Node would search its text for exports, which takes 10 MiB. Bundlers use
 * the other entry point (condition `module`).
 */

import { createRequire } from 'node:module';

export const {
  Credential,
  ERROR_CODES,
  iamLogin,
  isRejectedLogin,
  LoginRejectedError,
  SecretCache,
  SecretCacheError,
  SecretValue,
} = createRequire(import.meta.url)('./lib/index.js');
