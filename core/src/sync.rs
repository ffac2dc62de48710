//! What threads share and wait for: the standard library's, or in `tests/schedules` those of shuttle, which runs the
//! threads of a test one at a time and chooses at each of these who is next.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::thread::yield_now;

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::thread::yield_now;
