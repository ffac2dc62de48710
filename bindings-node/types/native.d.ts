/** Finds the extension module that was built for this platform. */
import type * as Binding from './binding';
/**
 * Loads the module for a platform.
 *
 * @throws {Error} With `code` `SECRETCACHE_NO_BUILD` and the reason of each attempt, if there is none.
 */
export declare function load(platform: string, arch: string): typeof Binding;
export declare const native: typeof Binding;
