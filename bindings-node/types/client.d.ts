/** Asks the client that the program supplied, as the core wishes. */
import type { Ask, ClientDescription, ClientFailure, ClientValue } from './binding';
import type { CommandSender } from './settings';
/** `GetSecretValue`. Whatever goes wrong is thrown. */
export declare function getSecretValue(client: CommandSender, ask: Ask): Promise<ClientValue>;
/** `DescribeSecret`. Whatever goes wrong is thrown. */
export declare function describeSecret(client: CommandSender, ask: Ask): Promise<ClientDescription>;
/** A client's failure, for the core. */
export declare function failureOf(error: unknown, operation: string): ClientFailure;
