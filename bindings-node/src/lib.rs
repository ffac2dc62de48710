//! The extension module behind the npm package `secretcache`: conversion and calls, no logic.
//!
//! Everything here is private to the package, whose TypeScript provides the public interface. JavaScript values belong
//! to one environment (the main thread or a worker) and never go into the core.

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
use secretcache::IamLogin;

use crate::errors::{Thrown, thrown};

/// Wipes freed memory, because secrets also pass through the buffers of HTTP and TLS.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;

/// Returns the names of the core's error kinds, which the package's table of codes must cover.
#[napi]
pub fn error_kinds() -> Vec<String> {
    secretcache::ErrorKind::ALL.iter().map(|kind| kind.name().to_owned()).collect()
}

/// Returns the names of the error kinds for which a retry may help.
#[napi]
pub fn retryable_kinds() -> Vec<String> {
    let retryable =
        secretcache::ErrorKind::ALL.iter().filter(|kind| kind.retry() == secretcache::Retry::Later);
    retryable.map(|kind| kind.name().to_owned()).collect()
}

/// Returns the version of this module, which must be the same as the package's.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Returns the id of an IAM login. `name` is a host, or the name of a cache.
#[napi(catch_unwind)]
pub fn iam_login(
    service: String,
    user: String,
    name: String,
    port: Option<u32>,
    region: Option<String>,
    is_serverless: Option<bool>,
) -> Result<String, Thrown> {
    let login = match service.as_str() {
        "elasticache" => IamLogin::elasticache(user, &name),
        "memorydb" => IamLogin::memorydb(user, &name),
        _ => IamLogin::rds(user, &name, port.and_then(|port| port.try_into().ok()).unwrap_or(0)),
    };
    let login = if is_serverless == Some(true) { login.serverless() } else { login };
    let login = match region {
        Some(region) => login.region(region),
        None => login,
    };
    login.check().map_err(|error| thrown(&error))?;
    Ok(login.into())
}

/// Returns the message of the error for a cache that has been closed.
#[napi]
pub fn closed_message() -> String {
    secretcache::host::closed().message().to_owned()
}

/// Returns whether an error means a refused login: judged by its code if it has one, otherwise by its text.
#[napi]
pub fn says_login_refused(message: String, code: Option<String>) -> bool {
    secretcache::login_refused(code.as_deref(), &message)
}
