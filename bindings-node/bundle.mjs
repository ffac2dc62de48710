/** The entry point for bundlers (condition `module`): the same module as `require` returns, in a form that they can follow. */

export {
  Credential,
  ERROR_CODES,
  iamLogin,
  isRejectedLogin,
  LoginRejectedError,
  SecretCache,
  SecretCacheError,
  SecretValue,
} from './lib/index.js';
