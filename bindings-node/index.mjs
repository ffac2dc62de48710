/**
 * The package for `import`: the very module that `require` gives.
 *
 * Loaded by `require` here too, for Node would otherwise search its text for exports, which takes 10 MiB. Bundlers take the
 * other entry (condition `module`).
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
