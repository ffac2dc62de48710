//! The cache as a pure state machine: no I/O, no clock, no runtime, no waiting.

pub(crate) mod backoff;
pub(crate) mod brake;
#[expect(clippy::module_inception, reason = "the type `Cache`, beside what it is made of")]
pub(crate) mod cache;
pub(crate) mod changes;
pub(crate) mod due;
pub(crate) mod flight;
pub(crate) mod hit;
pub(crate) mod permit;
pub(crate) mod policy;
pub(crate) mod replica;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod validity;
pub(crate) mod watch;
