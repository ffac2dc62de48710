/** Secrets as programs get them whole. Printing one never shows it. */
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
    /** Everything but the value. */
    toJSON(): Record<string, unknown>;
}
/**
 * A credential, read from one version of a secret. User name and password belong together: with alternating users both
 * change.
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
    /** The field `port`, a number or its text. */
    get port(): number | undefined;
    /** The field `dbname`. */
    get dbname(): string | undefined;
    /** The field `engine`. */
    get engine(): string | undefined;
    /** The whole secret string, for a secret that is not a JSON object. */
    get secretString(): string | undefined;
    /** Any field of a secret that is a JSON object. */
    get(field: string): unknown;
    /** Everything but the values. */
    toJSON(): Record<string, unknown>;
}
