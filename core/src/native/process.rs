//! Which process this is, and state that must not outlive a fork.
//!
//! A forked child inherits memory but no threads: locks may be held forever, sockets are shared with the parent, and
//! random generators repeat each other. So the child uses none of it, not even to close it. The fork handler only counts;
//! the next call in the child sees that its state belongs to another generation, makes new state, and leaks the old.

use std::hash::{BuildHasher, RandomState};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::sync::atomic::AtomicPtr;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static WATCHING: AtomicBool = AtomicBool::new(false);

/// The number of forks between the process that loaded the library and this one.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Counts forks from now on. Cheap to call again.
fn watch_forks() {
    if !WATCHING.swap(true, Ordering::Relaxed) {
        #[cfg(unix)]
        {
            extern "C" fn in_child() {
                count_fork();
            }
            // SAFETY: the handler only adds to an atomic, which is safe in a forked child. It stays valid: libraries
            // with fork handlers are not unloaded.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        }
    }
}

/// All that the fork handler does. The tests of thread schedules, which cannot fork, call it themselves.
#[cfg(unix)]
pub(crate) fn count_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A number that differs between processes and between calls, also right after a fork.
pub fn fresh_seed() -> u64 {
    // `RandomState` is seeded by the system once per thread and counts up, so a fork would repeat it; the process id
    // and the time make the difference.
    let now = super::SystemClock::now();
    RandomState::new().hash_one((std::process::id(), now.boot, now.wall))
}

/// A value that belongs to one process: made on first use, and made again in a forked child.
///
/// ```
/// use secretcache::host::PerProcess;
///
/// static NUMBER: PerProcess<u32> = PerProcess::new();
/// assert_eq!(NUMBER.get(), None);
/// assert_eq!(NUMBER.get_or_try_make(|| Ok::<_, ()>(std::process::id())), Ok(&std::process::id()));
/// ```
#[derive(Debug)]
pub struct PerProcess<T>(AtomicPtr<Owned<T>>);

#[derive(Debug)]
struct Owned<T> {
    generation: u64,
    value: T,
}

impl<T> PerProcess<T> {
    /// Creates an empty one.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's value, if it has been made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.made_here(self.0.load(Ordering::Acquire))
    }

    /// Returns the value that was loaded from here, if it belongs to this process.
    #[inline]
    fn made_here(&self, loaded: *const Owned<T>) -> Option<&T> {
        // SAFETY: a non-null pointer came from `Box::into_raw` below and is freed only in `drop`.
        let owned = unsafe { loaded.as_ref() }?;
        (owned.generation == generation()).then_some(&owned.value)
    }

    /// Returns this process's value; `make` creates it if there is none. Several threads can create one at the same
    /// time; all get the first. There is no lock that a fork could freeze.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        // Loaded only once: replacing anything but the value checked here could replace another thread's value.
        let old = self.0.load(Ordering::Acquire);
        if let Some(value) = self.made_here(old) {
            return Ok(value);
        }
        watch_forks();
        let made = Box::into_raw(Box::new(Owned { generation: generation(), value: make()? }));
        let winner = match self.0.compare_exchange(old, made, Ordering::AcqRel, Ordering::Acquire) {
            // `old` is null, or belongs to another generation and is leaked.
            Ok(_) => made,
            Err(winner) => {
                // SAFETY: `made` was not shared with anyone.
                drop(unsafe { Box::from_raw(made) });
                winner
            }
        };
        // SAFETY: as in `get`; the winner is of this generation, since only this process's threads compete.
        Ok(unsafe { &(*winner).value })
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let owned = *self.0.get_mut();
        // SAFETY: exclusive access; the pointer is null or from `Box::into_raw`.
        if !owned.is_null() && unsafe { (*owned).generation } == generation() {
            // SAFETY: as above, and no reference can be left. Another generation's value is leaked.
            drop(unsafe { Box::from_raw(owned) });
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_by_the_first() {
        let value = PerProcess::new();
        assert!(value.get().is_none());
        let make = |number| move || Ok::<i32, ()>(number);
        assert_eq!(value.get_or_try_make(make(1)), Ok(&1));
        assert_eq!(value.get_or_try_make(make(2)), Ok(&1));
    }

    #[test]
    fn a_failure_is_not_kept() {
        let value: PerProcess<i32> = PerProcess::new();
        assert_eq!(value.get_or_try_make(|| Err("no")), Err("no"));
        assert_eq!(value.get_or_try_make(|| Ok::<_, &str>(1)), Ok(&1));
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(fresh_seed(), fresh_seed());
    }
}
