//! The native driver: an embedded tokio runtime, the AWS SDK as source, a background refresher.
//!
//! Nothing here starts before the first read, and a forked child recreates everything.

mod aws;
mod brakes;
mod builder;
mod clock;
mod connect;
mod driver;
mod event_thread;
mod fetch;
mod handle;
mod inner;
mod listeners;
mod locked;
mod log;
mod options;
mod outage;
mod places;
mod pool;
mod prefetch;
mod process;
mod refresher;
mod refreshing;
mod replicas;
mod request;
mod runtime;
mod secret_cache;
mod task;
mod transport;
mod wait;

pub use aws::{service_error, sign_token};
pub use brakes::brake_of;
pub use builder::Builder;
pub use clock::SystemClock;
pub use connect::{Connect, ConnectError};
pub use driver::Driver;
pub use event_thread::{end_event_thread, run_on_event_thread};
pub use inner::ReadState;
pub use log::LogLimiter;
pub use options::{Credentials, Options};
pub use pool::BlockingPool;
pub use process::{PerProcess, fresh_seed, generation};
pub use request::{Get, Request};
pub use runtime::{MOST_THREADS, set_threads, shutdown, spawn, spawn_thread};
pub use secret_cache::SecretCache;
pub use task::Task;
pub use wait::wait_for;
