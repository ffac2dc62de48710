/**
 * A cache for AWS Secrets Manager: reads from memory, refreshes in the background, logins that survive rotations.
 *
 * @packageDocumentation
 */

export {
  type FallbackLoginEvent,
  type GetOptions,
  type LoginStats,
  type NewVersionEvent,
  type RefreshErrorEvent,
  SecretCache,
  type SecretCacheEvents,
  type SecretStatus,
  type StaleEvent,
  type Stats,
  type Watch,
} from './cache';
export { type ConnectOptions, type ConnectStage, isRejectedLogin } from './connect';
export {
  ERROR_CODES,
  LoginRejectedError,
  type RejectedVersion,
  type ResponseMetadata,
  SecretCacheError,
  type SecretCacheErrorCode,
} from './errors';
export { type ElastiCacheLogin, iamLogin, type MemoryDbLogin, type RdsLogin } from './iam';
export type {
  CacheOptions,
  CommandSender,
  ConnectionOptions,
  Logger,
  SecretCacheOptions,
  StaticCredentials,
} from './settings';
export { Credential, SecretValue } from './value';
