//! Secrets from AWS Secrets Manager: read from memory in nanoseconds, refreshed in the background, served on when the
//! service cannot be reached.
//!
//! ```no_run
//! # async fn example() -> Result<(), secretcache::Error> {
//! let cache = secretcache::SecretCache::builder().build()?;
//!
//! let secret = cache.get("prod/checkout/db").await?; // or .wait()? where nothing is asynchronous
//! let password = secret.field("password")?;
//! # Ok(())
//! # }
//! ```
//!
//! Any number of readers of one secret cause one request. While a secret is in use it is refreshed beside its readers,
//! so none of them waits. What happens in between is told by [`SecretCache::stats`] and [`SecretCache::on_event`], and
//! as warnings through `tracing`.
//!
//! # Two halves
//!
//! [`Cache`] is the cache as a pure state machine: it decides, and neither asks nor waits nor looks at a clock.
//! [`SecretCache`] drives it with an embedded tokio runtime and the AWS SDK, which start with the first read. Programs
//! that bring their own transport implement [`SecretSource`], or drive a [`Cache`] themselves, as the bindings for
//! other languages do.
//!
//! # Features
//!
//! - `aws` (default): [`SecretCache`] with the AWS SDK. Without it the crate is [`Cache`] alone and has few
//!   dependencies.
//!
//! # Secrets in memory
//!
//! [`Secret`] wipes its bytes when its last clone goes, and neither `Debug` nor any error shows them. The buffers of the
//! HTTP client and TLS are beyond its reach, as is whatever the program copies out.

mod cache;
mod config;
mod connect;
mod error;
mod event;
mod id;
#[cfg(feature = "aws")]
mod native;
mod secret;
#[cfg(feature = "aws")]
mod source;
mod sync;
mod time;
mod wire;

pub use cache::backoff::Backoff;
pub use cache::cache::{Cache, Due, Forced, Lookup};
pub use cache::flight::{Outcome, Waiter};
pub use cache::hit::Hit;
pub use cache::permit::Ticket;
pub use cache::stats::{LoginStats, Operation, SecretStatus, Stats};
pub use cache::watch::{Watch, Watches};
pub use config::Config;
pub use connect::attempt::{Next, Plan, Tried};
pub use connect::credential::Credential;
pub use connect::refusal::says_login_refused;
pub use error::{Error, ErrorKind, Retry, ServiceFault};
pub use event::{Event, Listener};
pub use id::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, OwnedSelector, Selector};
#[cfg(feature = "aws")]
pub use native::{
    Builder, Connect, ConnectError, Credentials, Get, LogLimiter, MOST_THREADS, Options, PerProcess, Request,
    SecretCache, Started, SystemClock, fresh_seed, generation, later, service_error, set_threads, shutdown,
    spawn, spawn_thread, wait_for,
};
pub use secret::{Fetched, Secret, Slot, Value};
#[cfg(feature = "aws")]
pub use source::{Batch, BoxFuture, MOST_IN_BATCH, SecretSource};
pub use time::{Coarse, Now};
pub use wire::{Answer, Description, RotationRules};
