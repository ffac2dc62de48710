//! The native driver: an embedded tokio runtime, the AWS SDK as source, a background refresher.
//!
//! Nothing here starts before the first read, and a forked child recreates everything. To read it, follow one read:
//!
//! 1. `builder` and `options` take the settings; `secret_cache` is what Rust programs use, `driver` what bindings use.
//! 2. `handle` is the part of a cache that a forked child inherits; `inner` is the part that each process makes anew
//!    (`process`), with its requests.
//! 3. `request` reads, on a plain thread with `wait`; `connect` logs in; `prefetch` reads many at once.
//! 4. `refresher` runs the requests in the background, and refreshes what is due.
//! 5. `fetch` decides which calls answer a request, and `replicas` which Region gets them: `outage` is what is known
//!    about one Region, and `brakes` slow down the refreshes of one endpoint in all caches of the process.
//! 6. `places` has a connected source for each role and Region, made from `transport`: the AWS SDK (`aws`) or the
//!    program's own; `locked` keeps its values out of swap.
//! 7. `threads` starts our threads: those of `runtime`, for asynchronous work, of which a `task` is one piece; those of
//!    `pool`, for blocking calls of bindings; and `event_thread`, which calls their listeners.
//! 8. `listeners` get the events, `log` limits the warnings, and `clock` reads the time.

mod aws;
mod brakes;
mod builder;
mod clock;
mod connect;
mod driver;
mod event_thread;
mod exhausted;
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
mod replicas;
mod request;
mod runtime;
mod secret_cache;
mod task;
mod threads;
mod transport;
mod wait;

pub use aws::{parse_credentials, service_error, sign_token};
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
pub use runtime::{set_threads, shutdown, spawn};
pub use secret_cache::SecretCache;
pub use task::Task;
pub use threads::{MOST_THREADS, spawn_thread};
pub use wait::wait_for;
