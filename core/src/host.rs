//! For bindings and drivers: the state machine, and what they need to run it in other languages and runtimes.
//!
//! **Outside semantic versioning.** The packages of this repository are released together, and this module changes with
//! them. Applications use the root of the crate.

pub use crate::cache::brake::Brake;
pub use crate::cache::cache::{Cache, Forced, Lookup, closed};
pub use crate::cache::due::Due;
pub use crate::cache::flight::{Outcome, Waiter};
pub use crate::cache::permit::FetchPermit;
pub use crate::cache::stats::Operation;
pub use crate::cache::watch::Watches;
pub use crate::connect::attempt::{Action, ConnectAttempt};
pub use crate::connect::failure::ConnectFailure;
pub use crate::error::binding::ErrorExt;
pub use crate::event::Listener;
pub use crate::fetched::Extension;
pub use crate::id::OwnedSelector;
pub use crate::labels::VersionLabels;
#[cfg(feature = "aws")]
pub use crate::native::{
    BlockingPool, Driver, Get, LogLimiter, MOST_THREADS, Options, PerProcess, ReadState, SystemClock, Task,
    brake_of, end_event_thread, fresh_seed, generation, parse_credentials, run_on_event_thread,
    service_error, set_threads, shutdown, sign_token, spawn, spawn_thread, wait_for,
};
#[cfg(feature = "aws")]
pub use crate::place::Role;
pub use crate::secret::binding::SecretExt;
pub use crate::time::{Coarse, Moment, Now};
pub use crate::wire::{Answer, DescribeAnswer, check_size};
