//! The extension module behind the npm package `secretcache`: conversion and calls, no logic.
//!
//! Everything here is private to the package, whose TypeScript gives it its public face. JavaScript values belong to
//! one environment (the main thread or a worker) and never go into the core.

mod attempt;
mod cache;
mod changes;
mod client;
mod delivery;
mod errors;
mod events;
mod settings;
mod shared;
mod stats;
mod value;

use napi_derive::napi;

/// What is freed is wiped: secrets pass through the buffers of HTTP and TLS too.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;

/// The names of the core's error kinds, which the package's table of codes must cover.
#[napi]
pub fn error_kinds() -> Vec<String> {
    secretcache::ErrorKind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
}

/// Those among them that the caller may do better with by asking again soon.
#[napi]
pub fn retryable_kinds() -> Vec<String> {
    let retryable =
        secretcache::ErrorKind::ALL.iter().filter(|kind| kind.retry() == secretcache::Retry::Later);
    retryable.map(|kind| kind.name().to_owned()).collect()
}

/// The version of this module, which must be that of the package.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Whether an error means that user name or password are refused: by its code if it has one, else by its text.
#[napi]
pub fn says_login_refused(message: String, code: Option<String>) -> bool {
    secretcache::login_refused(code.as_deref(), &message)
}
