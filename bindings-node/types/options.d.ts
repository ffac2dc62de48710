/** Rejects unknown options, and suggests what was probably meant. */
/** What to write instead of another library's option, as the end of a sentence; keys are lower case without `_` and `-`. */
export type Hints = Readonly<Record<string, string>>;
/** @throws {TypeError} If an option is unknown; the message suggests what was probably meant. */
export declare function checkOptions(where: string, options: object, known: readonly string[], hints?: Hints): void;
/** Returns the error message for an unknown option. */
export declare function unknownOption(where: string, name: string, known: readonly string[], hints: Hints): string;
/** Describes a value for an error message: its type, or the value itself if it is short and cannot be secret. */
export declare function describe(value: unknown): string;
