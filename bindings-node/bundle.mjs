/** The package for bundlers (condition `module`): the very module that `require` gives, in a form that they follow. */

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
