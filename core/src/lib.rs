//! A cache for secrets kept in AWS Secrets Manager: read from memory in nanoseconds, refreshed in the background.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod backoff;
mod cache;
mod config;
mod error;
mod event;
mod flight;
mod hit;
mod id;
#[cfg(feature = "aws")]
mod native;
mod policy;
mod secret;
mod serving;
mod source;
mod state;
mod stats;
mod ticket;
mod time;

pub use answer::{Answer, Description};
pub use backoff::Backoff;
pub use cache::{Cache, Due, Forced, Lookup};
pub use config::Config;
pub use error::{Error, ErrorKind, Retry, ServiceFault};
pub use event::{Event, Listener};
pub use flight::{Outcome, Waiter};
pub use hit::Hit;
pub use id::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, OwnedSelector, Selector};
#[cfg(feature = "aws")]
pub use native::{
    Builder, Credentials, Get, LogLimiter, Options, PerProcess, Request, SecretCache, Started, SystemClock,
    fresh_seed, generation, shutdown, wait_for,
};
pub use secret::{Fetched, Secret, Slot, Value};
pub use source::{BoxFuture, SecretSource};
pub use stats::{Operation, SecretStatus, Stats};
pub use ticket::Ticket;
pub use time::{Coarse, Now};
