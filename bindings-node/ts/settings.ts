/** The settings of a cache, and their validation. */

import type { Settings } from './binding';
import { describe, type Hints, unknownOption } from './options';

/** AWS credentials. */
export interface StaticCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

/** A role to assume. */
export interface Role {
  roleArn: string;
  /** The external id that the role's trust policy requires. */
  externalId?: string | undefined;
}

/** An object that sends commands like the AWS SDK's `SecretsManagerClient`. */
export interface CommandSender {
  /** Sends a command and returns its output. Untyped, because the SDK's signature is generic over its commands. */
  send(command: any): Promise<any>;
}

/** A logger for warnings: `console`, or any object with this method. Warnings never contain a value. */
export interface Logger {
  /**
   * Logs one line: a value could not be refreshed in time, a fetch failed, or a login used a version other than the
   * current one.
   */
  warn(message: string): void;
}

/** Settings for how a cache behaves. All times are in milliseconds. */
export interface CacheOptions {
  /**
   * How long a value counts as fresh; it is refreshed at a random moment in the second half. 0 asks the service on
   * every read. Default: 300 000 (five minutes).
   */
  refreshIntervalMs?: number | undefined;
  /** Refresh intervals of individual secrets, by the id that reads use. */
  refreshIntervalsMs?: Readonly<Record<string, number>> | undefined;
  /** How long a read waits for the service if there is a last known value. Default: 2000. */
  maxWaitMs?: number | undefined;
  /** How long the last known value is served while refreshes fail, counted from the last success. Default: no limit. */
  maxStaleMs?: number | undefined;
  /** How many secrets are kept. Default: 1024. */
  maxSize?: number | undefined;
  /** Whether the last known value is still served after the service denies access. Default: true. */
  staleOnDenied?: boolean | undefined;
  /** The staging label to read if a call names none. Default: `AWSCURRENT`. */
  versionStage?: string | undefined;
  /** Where warnings go. Default: Node's own warnings (`process.emitWarning`). `null`: nowhere. */
  logger?: Logger | null | undefined;
}

/** Settings for how to reach the service. Those you leave out are resolved as by the AWS command line. */
export interface ConnectionOptions {
  /** The AWS Region; otherwise `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's. */
  region?: string | undefined;
  /** The service's endpoint; otherwise `AWS_ENDPOINT_URL_SECRETS_MANAGER`, `AWS_ENDPOINT_URL` or the Region's own. */
  endpoint?: string | undefined;
  /** The profile in the AWS configuration files. */
  profile?: string | undefined;
  /** AWS credentials. */
  credentials?: StaticCredentials | undefined;
  /** A role to assume with the credentials, for example in the account that owns the secrets. */
  roleArn?: string | undefined;
  /** The external id that the role's trust policy requires. */
  externalId?: string | undefined;
  /**
   * Further roles to assume. A role applies to secrets whose id, as you pass it to a read (name or ARN), begins with the
   * key; the longest matching key wins. At most 20 roles.
   */
  roles?: Readonly<Record<string, string | Role>> | undefined;
  /**
   * The Regions with replicas of the secrets, in the order in which to try them while a secret's own Region does not
   * respond. To set a Region's endpoint, append it: `eu-west-1=https://…`.
   */
  fallbackRegions?: readonly string[] | undefined;
  /** How long a Region may take to respond before the next one is asked. Default: 2000. */
  fallbackAfterMs?: number | undefined;
  /** An HTTP proxy; otherwise `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. */
  proxyUrl?: string | undefined;
  /** A file of PEM certificates to trust instead of the system's; otherwise `AWS_CA_BUNDLE`. */
  caBundle?: string | undefined;
  /** Whether to use the FIPS endpoint. */
  useFips?: boolean | undefined;
  /** How long one operation may take with all its retries. Default: 5000. */
  timeoutMs?: number | undefined;
}

/** Settings of a `SecretCache`. */
export interface SecretCacheOptions extends CacheOptions, ConnectionOptions {
  /**
   * A `SecretsManagerClient` of the AWS SDK for JavaScript v3, or any object with its `send` method, for all calls.
   * Without one, secrets are fetched natively.
   */
  client?: CommandSender | undefined;
}

/** The validated options. */
export interface ReadOptions {
  readonly settings: Settings;
  readonly client: CommandSender | undefined;
  readonly versionStage: string;
  readonly logger: Logger | null | undefined;
  /** The shortest refresh interval. */
  readonly shortestIntervalMs: number;
}

/** Limits that tests lower, to run in less time. */
export const limits = { shortestIntervalMs: 1000 };

const DEFAULT_INTERVAL_MS = 300_000;

type Kind = 'interval' | 'duration' | 'size' | 'flag' | 'text' | 'other';

const CACHE: Readonly<Record<string, Kind>> = {
  refreshIntervalMs: 'interval',
  refreshIntervalsMs: 'other',
  maxWaitMs: 'duration',
  maxStaleMs: 'duration',
  maxSize: 'size',
  staleOnDenied: 'flag',
  versionStage: 'text',
  logger: 'other',
  client: 'other',
};

const CONNECTION: Readonly<Record<string, Kind>> = {
  region: 'text',
  endpoint: 'text',
  profile: 'text',
  credentials: 'other',
  roleArn: 'text',
  externalId: 'text',
  roles: 'other',
  fallbackRegions: 'other',
  fallbackAfterMs: 'duration',
  proxyUrl: 'text',
  caBundle: 'text',
  useFips: 'flag',
  timeoutMs: 'duration',
};

const KINDS: Readonly<Record<string, Kind>> = { ...CACHE, ...CONNECTION };

/** Advice for names that other libraries use for these options. */
const HINTS: Hints = {
  ...Object.fromEntries(
    Object.entries({
      ttl: 'refreshIntervalMs',
      cachettl: 'refreshIntervalMs',
      cacheitemttl: 'refreshIntervalMs',
      secretrefreshinterval: 'refreshIntervalMs',
      cacheexpiry: 'refreshIntervalMs',
      regionname: 'region',
      endpointurl: 'endpoint',
      max: 'maxSize',
      cachesize: 'maxSize',
      maxcachesize: 'maxSize',
      awssdkv3client: 'client',
      secretsmanagerclient: 'client',
      usefipsendpoint: 'useFips',
      requesttimeout: 'timeoutMs',
      defaultversionstage: 'versionStage',
      secretversionstage: 'versionStage',
    }).map(([name, ours]) => [name, `did you mean ${ours}?`]),
  ),
  maxage: 'did you mean refreshIntervalMs? It is in milliseconds, where Powertools counts seconds',
  clientconfig: 'write its settings here (region, endpoint, credentials, …), or pass a client',
  usedualstackendpoint: 'pass the endpoint, or a client',
};

/** Validates the options of a cache. */
export function readOptions(options: SecretCacheOptions = {}): ReadOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`SecretCache takes an object of options, not ${describe(options)}`);
  }
  const settings: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    const kind = KINDS[name];
    if (kind === undefined) throw new TypeError(unknownOption('SecretCache', name, Object.keys(KINDS), HINTS));
    if (value === undefined) continue;
    check(name, kind, value);
    if (kind !== 'other' && name !== 'versionStage') settings[name] = value;
  }
  const { client, credentials, refreshIntervalsMs } = options;
  checkClient(options);
  if (refreshIntervalsMs !== undefined) settings.refreshIntervalsMs = intervals(refreshIntervalsMs);
  if (options.fallbackRegions !== undefined) settings.fallbackRegions = readRegions(options.fallbackRegions);
  if (options.roles !== undefined) settings.roles = readRoles(options.roles);
  if (credentials !== undefined) Object.assign(settings, readCredentials(credentials));
  checkLogger(options.logger);
  if (client === undefined)
    settings.sharedAs = JSON.stringify(settings, Object.keys({ ...settings, ...refreshIntervalsMs }).sort());
  return {
    settings: settings as Settings,
    client,
    versionStage: options.versionStage ?? 'AWSCURRENT',
    logger: options.logger,
    shortestIntervalMs: Math.min(options.refreshIntervalMs ?? DEFAULT_INTERVAL_MS, ...Object.values(refreshIntervalsMs ?? {})),
  };
}

/** Returns a number of milliseconds, or throws a `TypeError` that suggests what was probably meant. */
export function readDuration(name: string, value: unknown, shortest = 0): number {
  if (typeof value !== 'number') {
    throw new TypeError(`${name} must be a number of milliseconds, not ${describe(value)}; five minutes are 300_000`);
  }
  if (!Number.isFinite(value) || value < 0) {
    throw new TypeError(`${name} is ${value}; it must be a number of milliseconds of at least 0`);
  }
  if (value !== 0 && value < shortest) {
    throw new TypeError(
      `${name} is ${value}, which is less than a second: it is in milliseconds. For ${value} seconds write ` +
        `${value * 1000}; 0 asks the service on every read`,
    );
  }
  return value;
}

function check(name: string, kind: Kind, value: unknown): void {
  switch (kind) {
    case 'interval':
      readDuration(name, value, limits.shortestIntervalMs);
      break;
    case 'duration':
      readDuration(name, value);
      break;
    case 'size':
      if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > 0xffff_ffff) {
        throw new TypeError(`${name} must be a whole number of secrets of at least 1, not ${describe(value)}`);
      }
      break;
    case 'flag':
      if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${describe(value)}`);
      break;
    case 'text':
      if (typeof value !== 'string' || value === '') {
        throw new TypeError(`${name} must be a non-empty string, not ${describe(value)}`);
      }
      break;
    case 'other':
      break;
  }
}

function checkClient(options: SecretCacheOptions): void {
  const { client } = options;
  if (client === undefined) return;
  if (typeof client?.send !== 'function') {
    throw new TypeError('client must be a SecretsManagerClient of the AWS SDK v3, or have its method send(command)');
  }
  const given = Object.keys(CONNECTION).filter((name) => options[name as keyof SecretCacheOptions] !== undefined);
  if (given.length > 0) {
    throw new TypeError(`${given.join(', ')} cannot be combined with client; configure the client instead`);
  }
}

function checkLogger(logger: Logger | null | undefined): void {
  if (logger !== undefined && logger !== null && typeof logger.warn !== 'function') {
    throw new TypeError('logger must have a method warn(message), or be null');
  }
}

function intervals(given: unknown): Record<string, number> {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`refreshIntervalsMs must be an object of secret id to milliseconds, not ${describe(given)}`);
  }
  const each = ([id, interval]: [string, unknown]): [string, number] => [
    id,
    readDuration(`refreshIntervalsMs[${JSON.stringify(id)}]`, interval, limits.shortestIntervalMs),
  ];
  return Object.fromEntries(Object.entries(given).map(each));
}

/** Returns rows of prefix, ARN and external id, sorted, so that the order of the keys does not matter. */
function readRoles(given: unknown): string[][] {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`roles must be an object of prefix to role ARN, not ${describe(given)}`);
  }
  const row = ([prefix, role]: [string, unknown]): string[] => {
    const { roleArn, externalId, ...others } = (typeof role === 'string' ? { roleArn: role } : (role ?? {})) as Role;
    const isText = typeof roleArn === 'string' && (externalId === undefined || typeof externalId === 'string');
    if (!isText || Object.keys(others).length > 0) {
      throw new TypeError(`roles[${JSON.stringify(prefix)}] must be a role ARN, or an object with roleArn and externalId`);
    }
    return externalId === undefined ? [prefix, roleArn] : [prefix, roleArn, externalId];
  };
  return Object.entries(given)
    .map(row)
    .sort(([one = ''], [other = '']) => (one < other ? -1 : 1));
}

function readRegions(given: unknown): string[] {
  if (!Array.isArray(given) || given.some((region) => typeof region !== 'string')) {
    throw new TypeError(`fallbackRegions must be an array of Region names, not ${describe(given)}`);
  }
  return [...given];
}

function readCredentials(credentials: StaticCredentials): Partial<Settings> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials ?? {};
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') {
    throw new TypeError(
      'credentials must be an object with accessKeyId and secretAccessKey; to use a provider function, pass a client',
    );
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
