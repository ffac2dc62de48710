//! The synchronization primitives: the standard library's, or shuttle's in `tests/schedules`. Shuttle runs the threads
//! of a test one at a time and chooses the next one at each of these operations.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::thread::yield_now;

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::thread::yield_now;
