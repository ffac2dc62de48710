/** Secret values and credentials. Printing one never shows the secret. */
/**
 * One version of a secret: its value and what the service says about it.
 *
 * `console.log` and `JSON.stringify` show everything but the value.
 */
export declare class SecretValue {
    #private;
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
    /** The secret string; undefined for a binary secret. */
    get secretString(): string | undefined;
    /** A copy of the secret binary; undefined for a string secret. */
    get secretBinary(): Buffer | undefined;
    /** Returns everything but the value. */
    toJSON(): Record<string, unknown>;
}
/**
 * A credential, read from one version of a secret. Use its user name and password together: with alternating users,
 * both change in a rotation.
 *
 * Printing it shows the version and the names of the fields.
 */
export declare class Credential {
    #private;
    /** The id of the version it was read from. */
    readonly versionId: string | undefined;
    /** The staging label of that version. */
    readonly versionStage: string;
    /** The field `username`. */
    get username(): string | undefined;
    /** The field `password`. */
    get password(): string | undefined;
    /** The field `host`. */
    get host(): string | undefined;
    /** The field `port`, a number or a numeric string in the secret. */
    get port(): number | undefined;
    /** The field `dbname`. */
    get dbname(): string | undefined;
    /** The field `engine`. */
    get engine(): string | undefined;
    /** The whole secret string, for a secret that is not a JSON object; undefined for a binary secret. */
    get secretString(): string | undefined;
    /** Returns any field of a secret that is a JSON object. */
    get(field: string): unknown;
    /** Returns everything but the values. */
    toJSON(): Record<string, unknown>;
}
