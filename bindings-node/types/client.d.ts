/** Sends the core's requests through the client that the program supplied. */
import type { Ask, ClientDescription, ClientFailure, ClientValue } from './binding';
import type { CommandSender } from './settings';
/** Calls `GetSecretValue`. Throws whatever the client throws, and {@link UnexpectedResponse} for an unexpected response. */
export declare function getSecretValue(client: CommandSender, ask: Ask): Promise<ClientValue>;
/** Calls `DescribeSecret`. Throws whatever the client throws, and {@link UnexpectedResponse} for an unexpected response. */
export declare function describeSecret(client: CommandSender, ask: Ask): Promise<ClientDescription>;
/** Converts what a client threw to the form the core expects. */
export declare function failureOf(error: unknown, operation: string): ClientFailure;
