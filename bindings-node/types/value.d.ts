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
    /** The staging labels attached to this version when it was last confirmed. */
    readonly versionStages: readonly string[];
    /** When this version was created. */
    readonly createdDate: Date | undefined;
    /** The secret string; undefined for a binary secret. */
    get secretString(): string | undefined;
    /** The secret binary, a copy of the caller's own; undefined for a string secret. */
    get secretBinary(): Buffer | undefined;
    /** Everything but the value. */
    toJSON(): Record<string, unknown>;
}
/**
 * A secret as the credential of a resource, read from one version. User name and password are of one version: under alternating users they
 * change together.
 *
 * Printing it shows the version and the names of the fields.
 */
export declare class Credential {
    #private;
    /** The id of the version it was read from. */
    readonly versionId: string | undefined;
    /** The staging label by which that version was found. */
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
    /** The secret string as it is: of a secret that is no JSON object, this is all there is. */
    get secretString(): string | undefined;
    /** Any field of a secret that is a JSON object. */
    get(field: string): unknown;
    /** Everything but the values. */
    toJSON(): Record<string, unknown>;
}
