//! A cache for AWS Secrets Manager. Reads take nanoseconds, values are refreshed in the background, and if the service is
//! unreachable, reads get the last known value.
//!
//! ```no_run
//! # async fn example() -> Result<(), secretcache::Error> {
//! let cache = secretcache::SecretCache::builder().build()?;
//!
//! let secret = cache.get("prod/checkout/db").await?; // or .wait()? in blocking code
//! let password = secret.field("password")?;
//! # Ok(())
//! # }
//! ```
//!
//! Any number of concurrent reads of one secret make one request. A secret in use is refreshed in the background, so no
//! read waits for it. `SecretCache::stats` and `SecretCache::on_event` show what happens; warnings go to `tracing`.
//!
//! # Two interfaces
//!
//! Applications use the root of the crate. [`host`] is for bindings to other languages, and for programs that drive the
//! pure state machine [`host::Cache`] with their own transport or runtime. It changes between minor versions.
//!
//! # Features
//!
//! - `aws` (default): `SecretCache` with the AWS SDK. Without it the crate is [`host::Cache`] alone and has few
//!   dependencies.
//!
//! # Secrets in memory
//!
//! [`Secret`] wipes its bytes when its last clone is dropped, and neither `Debug` nor any error shows them. It cannot wipe
//! the buffers of the HTTP client and TLS, or copies that the program makes; [`WipingAllocator`] wipes the former.

mod cache;
mod config;
mod connect;
mod error;
mod event;
mod fetched;
pub mod host;
mod iam_login;
mod id;
mod labels;
#[cfg(feature = "aws")]
mod native;
#[cfg(feature = "aws")]
mod place;
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
pub use connect::credential::Credential;
pub use connect::failure::RejectedVersion;
pub use connect::refusal::login_refused;
pub use error::{Error, ErrorKind, Retry, ServiceFault};
pub use event::Event;
pub use fetched::{Fetched, Value};
pub use iam_login::IamLogin;
pub use id::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Selector, Stage};
#[cfg(feature = "aws")]
pub use native::{Builder, Connect, ConnectError, Credentials, Request, SecretCache};
pub use secret::Secret;
#[cfg(feature = "aws")]
pub use source::{Batch, BoxFuture, SecretSource};
pub use wiping::WipingAllocator;
pub use wire::{Description, RotationRules};
