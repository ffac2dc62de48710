/**
 * A cache for AWS Secrets Manager: reads from memory, refreshes in the background, logins that survive rotations.
 *
 * @packageDocumentation
 */

// TypeScript 7 loads `@types/node` only if a program or a declaration asks for it. Every entry point that needs it imports
// this one.
/// <reference types="node" preserve="true" />

export { type GetOptions, SecretCache, type Watch } from './cache';
export { type ConnectOptions, type ConnectStage, isRejectedLogin } from './connect';
export {
  ERROR_CODES,
  LoginRejectedError,
  type RejectedVersion,
  type ResponseMetadata,
  SecretCacheError,
  type SecretCacheErrorCode,
} from './errors';
export type {
  FallbackLoginEvent,
  NewVersionEvent,
  RefreshErrorEvent,
  ReplicaEvent,
  SecretCacheEvents,
  StaleEvent,
} from './events';
export { type ElastiCacheLogin, iamLogin, type MemoryDbLogin, type RdsLogin } from './iam';
export type {
  CacheOptions,
  CommandSender,
  ConnectionOptions,
  Logger,
  Role,
  SecretCacheOptions,
  StaticCredentials,
} from './settings';
export type { LoginStats, SecretStatus, Stats } from './stats';
export { Credential, SecretValue } from './value';
