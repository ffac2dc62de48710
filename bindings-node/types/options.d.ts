/** What is wrong with an option that does not exist, and what was probably meant. */
/** Options of other libraries, by their name without case, `_` and `-`: what to write here, as the end of a sentence. */
export type Hints = Readonly<Record<string, string>>;
/** @throws {TypeError} If an option is not among those known, with what was probably meant. */
export declare function checkOptions(where: string, options: object, known: readonly string[], hints?: Hints): void;
/** The text for an option that is not known. */
export declare function unknownOption(where: string, name: string, known: readonly string[], hints: Hints): string;
/** A value in an error: what it is, and itself where it is short and certainly not secret. */
export declare function describe(value: unknown): string;
