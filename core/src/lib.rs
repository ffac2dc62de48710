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
//! so none of them waits. What happens in between is told by `SecretCache::stats` and `SecretCache::on_event`, and
//! as warnings through `tracing`.
//!
//! # Two faces
//!
//! What stands at the root is for programs. [`host`] is for those who bring their own way to wait or to ask: the bindings
//! for other languages, and drivers of the pure state machine [`host::Cache`]. It changes between minor versions.
//!
//! # Features
//!
//! - `aws` (default): `SecretCache` with the AWS SDK. Without it the crate is [`host::Cache`] alone and has few
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
mod fetched;
pub mod host;
mod id;
mod labels;
#[cfg(feature = "aws")]
mod native;
mod secret;
#[cfg(feature = "aws")]
mod source;
mod sync;
mod time;
mod wiping;
mod wire;

pub use cache::backoff::Backoff;
pub use cache::hit::Hit;
pub use cache::stats::{LoginStats, SecretStatus, Stats};
pub use cache::watch::Watch;
pub use config::Config;
pub use connect::attempt::RejectedVersion;
pub use connect::credential::Credential;
pub use connect::refusal::login_refused;
pub use error::{Error, ErrorKind, Retry, ServiceFault};
pub use event::Event;
pub use fetched::{Fetched, Value};
pub use id::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector, Stage};
#[cfg(feature = "aws")]
pub use native::{Builder, Connect, ConnectError, Credentials, Request, SecretCache};
pub use secret::Secret;
#[cfg(feature = "aws")]
pub use source::{Batch, BoxFuture, SecretSource};
pub use wiping::WipingAllocator;
pub use wire::{Description, RotationRules};
