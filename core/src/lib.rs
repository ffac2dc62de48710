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

mod answer;
mod backoff;
mod barrier;
mod cache;
mod changes;
mod config;
mod credential;
mod error;
mod event;
mod flight;
mod foresight;
mod hit;
mod id;
mod lent;
mod logins;
#[cfg(feature = "aws")]
mod native;
mod plan;
mod policy;
mod reader;
mod refusal;
mod secret;
mod serving;
mod shared;
#[cfg(feature = "aws")]
mod source;
mod state;
mod stats;
mod sync;
mod ticket;
mod time;
mod watch;

pub use answer::{Answer, Description, RotationRules};
pub use backoff::Backoff;
pub use cache::{Cache, Due, Forced, Lookup};
pub use config::Config;
pub use credential::Credential;
pub use error::{Error, ErrorKind, Retry, ServiceFault};
pub use event::{Event, Listener};
pub use flight::{Outcome, Waiter};
pub use hit::Hit;
pub use id::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, OwnedSelector, Selector};
#[cfg(feature = "aws")]
pub use native::{
    Builder, Connect, ConnectError, Credentials, Get, LogLimiter, MOST_THREADS, Options, PerProcess, Request,
    SecretCache, Started, SystemClock, fresh_seed, generation, later, service_error, set_threads, shutdown,
    spawn, spawn_thread, wait_for,
};
pub use plan::{Next, Plan, Tried};
pub use reader::{Reader, Wanted};
pub use refusal::says_login_refused;
pub use secret::{Fetched, Secret, Slot, Value};
#[cfg(feature = "aws")]
pub use source::{Batch, BoxFuture, MOST_IN_BATCH, SecretSource};
pub use stats::{LoginStats, Operation, SecretStatus, Stats};
pub use ticket::Ticket;
pub use time::{Coarse, Now};
pub use watch::{Watch, Watches};
