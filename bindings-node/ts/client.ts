/** Sends the core's requests through the client that the program supplied. */

import { isDate, isUint8Array } from 'node:util/types';

import type { Ask, ClientDescription, ClientFailure, ClientValue } from './binding';
import type { CommandSender } from './settings';

/** The AWS SDK's commands. */
interface Commands {
  GetSecretValueCommand: new (input: object) => unknown;
  DescribeSecretCommand: new (input: object) => unknown;
}

/** Commands with the same names and shape as the SDK's, for other clients where the SDK is not installed. */
const substitutes: Commands = {
  GetSecretValueCommand: class GetSecretValueCommand {
    constructor(readonly input: object) {}
  },
  DescribeSecretCommand: class DescribeSecretCommand {
    constructor(readonly input: object) {}
  },
};

let loaded: Commands | undefined;

function commands(): Commands {
  if (loaded === undefined) {
    try {
      // The program's own copy, so that its mocks recognize the classes.
      loaded = require('@aws-sdk/client-secrets-manager') as Commands;
    } catch {
      loaded = substitutes;
    }
  }
  return loaded;
}

/** Calls `GetSecretValue`. Throws whatever the client throws, and {@link UnexpectedResponse} for an unexpected response. */
export async function getSecretValue(client: CommandSender, ask: Ask): Promise<ClientValue> {
  const which = ask.versionId === undefined ? { VersionStage: ask.versionStage } : { VersionId: ask.versionId };
  const command = new (commands().GetSecretValueCommand)({ SecretId: ask.secretId, ...which });
  const answer: unknown = await client.send(command);
  if (typeof answer !== 'object' || answer === null)
    throw new UnexpectedResponse('the client answered GetSecretValue with nothing');
  return readValue(answer as Readonly<Record<string, unknown>>);
}

function readValue(answer: Readonly<Record<string, unknown>>): ClientValue {
  const value: ClientValue = { versionStages: texts(answer.VersionStages) };
  if (typeof answer.ARN === 'string') value.arn = answer.ARN;
  if (typeof answer.Name === 'string') value.name = answer.Name;
  if (typeof answer.VersionId === 'string') value.versionId = answer.VersionId;
  if (isDate(answer.CreatedDate)) value.createdMs = answer.CreatedDate.getTime();
  if (typeof answer.SecretString === 'string') value.string = answer.SecretString;
  if (isUint8Array(answer.SecretBinary)) value.binary = Buffer.from(answer.SecretBinary);
  return value;
}

/** Calls `DescribeSecret`. Throws whatever the client throws, and {@link UnexpectedResponse} for an unexpected response. */
export async function describeSecret(client: CommandSender, ask: Ask): Promise<ClientDescription> {
  const answer: unknown = await client.send(new (commands().DescribeSecretCommand)({ SecretId: ask.secretId }));
  const described = (answer ?? {}) as Readonly<Record<string, unknown>>;
  const { VersionIdsToStages } = described;
  if (typeof VersionIdsToStages !== 'object' || VersionIdsToStages === null) {
    // A test double that only implements GetSecretValue. The core then refreshes by fetching the value, as it does where
    // DescribeSecret is denied.
    throw new UnexpectedResponse('the client does not describe secrets', 'access_denied');
  }
  return readDescription(described, VersionIdsToStages);
}

/** Copies the fields of the answer. The core interprets them. */
function readDescription(answer: Readonly<Record<string, unknown>>, versions: object): ClientDescription {
  const description: ClientDescription = {
    versionIds: Object.keys(versions),
    versionStages: Object.values(versions).map(texts),
    isDeleted: answer.DeletedDate !== undefined,
  };
  const rules = (answer.RotationRules ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof answer.ARN === 'string') description.arn = answer.ARN;
  if (typeof answer.RotationEnabled === 'boolean') description.rotationEnabled = answer.RotationEnabled;
  if (isDate(answer.NextRotationDate)) description.nextRotationMs = answer.NextRotationDate.getTime();
  if (isDate(answer.LastRotatedDate)) description.lastRotatedMs = answer.LastRotatedDate.getTime();
  if (typeof rules.ScheduleExpression === 'string') description.scheduleExpression = rules.ScheduleExpression;
  if (typeof rules.Duration === 'string') description.duration = rules.Duration;
  return description;
}

/** Converts what a client threw to the form the core expects. */
export function failureOf(error: unknown, operation: string): ClientFailure {
  if (error instanceof UnexpectedResponse) return { operation, kind: error.kind, message: error.message };
  const { name, message, code, $fault, $metadata } = (error ?? {}) as Readonly<Record<string, any>>;
  const failure: ClientFailure = { operation, message: typeof message === 'string' ? message : String(error) };
  const isAnswer = $fault !== undefined || $metadata?.httpStatusCode !== undefined;
  if (isAnswer && typeof name === 'string') {
    failure.code = name;
    if (typeof $metadata?.httpStatusCode === 'number') failure.httpStatus = $metadata.httpStatusCode;
    if (typeof $metadata?.requestId === 'string') failure.requestId = $metadata.requestId;
    return failure;
  }
  const kind = KINDS[code as string] ?? KINDS[name as string];
  if (kind !== undefined) failure.kind = kind;
  return failure;
}

/** The core's kind for failures without a service response, by the SDK's and Node's names. */
const KINDS: Readonly<Record<string, string>> = {
  CredentialsProviderError: 'no_credentials',
  TokenProviderError: 'no_credentials',
  TimeoutError: 'timeout',
  ETIMEDOUT: 'timeout',
  ECONNREFUSED: 'connection',
  ECONNRESET: 'connection',
  EHOSTUNREACH: 'connection',
  ENETUNREACH: 'connection',
  ENOTFOUND: 'connection',
  EAI_AGAIN: 'connection',
  EPIPE: 'connection',
  EPROTO: 'tls',
  CERT_HAS_EXPIRED: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls',
};

/** A response of the client that cannot be used. */
class UnexpectedResponse extends Error {
  constructor(
    message: string,
    readonly kind = 'invalid_response',
  ) {
    super(message);
  }
}

function texts(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((each) => typeof each === 'string') : [];
}
