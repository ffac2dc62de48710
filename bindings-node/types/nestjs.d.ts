/** A NestJS module that provides one `SecretCache` for the whole application. */
import { type SecretCacheOptions } from './index';
/** A dynamic module, for `imports` of a NestJS module. */
export interface SecretCacheDynamicModule {
    module: typeof SecretCacheModule;
    global: boolean;
    providers: object[];
    exports: unknown[];
}
/**
 * Provides a `SecretCache` for injection, and closes it when the application shuts down (`enableShutdownHooks`, `close`).
 *
 * ```js
 * import { Module } from '@nestjs/common';
 * import { SecretCache } from 'secretcache';
 * import { SecretCacheModule } from 'secretcache/nestjs';
 * import { createPool } from 'secretcache/pg';
 *
 * const pool = {
 *   provide: 'POOL',
 *   inject: [SecretCache],
 *   useFactory: (cache) => createPool(cache, 'prod/checkout/db', { host: 'db.internal', database: 'checkout' }),
 * };
 *
 * class AppModule {}
 * Module({ imports: [SecretCacheModule.forRoot({ region: 'eu-central-1' })], providers: [pool] })(AppModule);
 * ```
 */
export declare class SecretCacheModule {
    /** Returns the module, with a cache created from these options. It is global: import it once, in the root module. */
    static forRoot(options?: SecretCacheOptions): SecretCacheDynamicModule;
}
