/** Secret values and credentials. Printing one never shows the secret. */

import type { Version } from './binding';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * One version of a secret: its value and what the service says about it.
 *
 * `console.log` and `JSON.stringify` show everything but the value.
 */
export class SecretValue {
  /** The full ARN. */
  readonly arn: string | undefined;
  /** The friendly name. */
  readonly name: string | undefined;
  /** The version id. */
  readonly versionId: string | undefined;
  /** The staging labels of this version at the last successful refresh. */
  readonly versionStages: readonly string[];
  /** When this version was created. */
  readonly createdDate: Date | undefined;
  readonly #string: string | undefined;
  readonly #binary: Buffer | undefined;

  /** @internal */
  constructor(version: Version) {
    this.arn = version.arn;
    this.name = version.name;
    this.versionId = version.versionId;
    this.versionStages = Object.freeze(version.versionStages);
    this.createdDate = version.createdMs === undefined ? undefined : new Date(version.createdMs);
    this.#string = version.string;
    this.#binary = version.binary;
    Object.freeze(this);
  }

  /** The secret string; undefined for a binary secret. */
  get secretString(): string | undefined {
    return this.#string;
  }

  /** A copy of the secret binary; undefined for a string secret. */
  get secretBinary(): Buffer | undefined {
    return this.#binary === undefined ? undefined : Buffer.from(this.#binary);
  }

  /** Returns everything but the value. */
  toJSON(): Record<string, unknown> {
    const { arn, name, versionId, versionStages, createdDate } = this;
    return { arn, name, versionId, versionStages, createdDate, value: '<redacted>' };
  }

  /** @internal */
  [INSPECT](): unknown {
    return `SecretValue ${JSON.stringify(this)}`;
  }
}

/**
 * A credential, read from one version of a secret. Use its user name and password together: with alternating users,
 * both change in a rotation.
 *
 * Printing it shows the version and the names of the fields.
 */
export class Credential {
  /** The id of the version it was read from. */
  readonly versionId: string | undefined;
  /** The staging label of that version. */
  readonly versionStage: string;
  readonly #value: SecretValue;
  readonly #fields: Readonly<Record<string, unknown>>;
  /** @internal */
  readonly isObject: boolean;

  /** @internal */
  constructor(value: SecretValue, versionStage: string) {
    this.versionId = value.versionId;
    this.versionStage = versionStage;
    this.#value = value;
    const fields = fieldsOf(value.secretString);
    this.isObject = fields !== undefined;
    this.#fields = fields ?? {};
    Object.freeze(this);
  }

  /** The field `username`. */
  get username(): string | undefined {
    return this.#text('username');
  }

  /** The field `password`. */
  get password(): string | undefined {
    return this.#text('password');
  }

  /** The field `host`. */
  get host(): string | undefined {
    return this.#text('host');
  }

  /** The field `port`, a number or a numeric string in the secret. */
  get port(): number | undefined {
    const port = Number(this.#fields.port ?? Number.NaN);
    return Number.isInteger(port) ? port : undefined;
  }

  /** The field `dbname`. */
  get dbname(): string | undefined {
    return this.#text('dbname');
  }

  /** The field `engine`. */
  get engine(): string | undefined {
    return this.#text('engine');
  }

  /** The whole secret string, for a secret that is not a JSON object; undefined for a binary secret. */
  get secretString(): string | undefined {
    return this.#value.secretString;
  }

  /** Returns any field of a secret that is a JSON object. */
  get(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined;
  }

  /** Returns everything but the values. */
  toJSON(): Record<string, unknown> {
    const { versionId, versionStage } = this;
    return { versionId, versionStage, fields: Object.keys(this.#fields), values: '<redacted>' };
  }

  /** @internal */
  [INSPECT](): unknown {
    return `Credential ${JSON.stringify(this)}`;
  }

  #text(field: string): string | undefined {
    const value = this.get(field);
    return typeof value === 'string' ? value : undefined;
  }
}

function fieldsOf(secretString: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(secretString ?? '');
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
