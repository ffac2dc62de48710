/** Loads the native module built for this platform. */
import type * as Binding from './binding';
/**
 * Loads the module for a platform.
 *
 * @throws {Error} With `code` `SECRETCACHE_NO_BUILD` and the reason why each attempt failed, if none can be loaded.
 */
export declare function load(platform: string, arch: string): typeof Binding;
export declare const native: typeof Binding;
