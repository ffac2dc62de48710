//! The threads of this process that are ours: how many there may be, and how they start.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// The largest number that [`set_threads`](crate::host::set_threads) accepts; more is a mistake in units.
pub const MOST_THREADS: usize = 64;

static WORKERS: AtomicUsize = AtomicUsize::new(1);
static BLOCKING: AtomicUsize = AtomicUsize::new(4);

thread_local!(static OWN_THREAD: Cell<bool> = const { Cell::new(false) });

/// Sets the numbers of threads for asynchronous and for blocking work.
pub(super) fn set_counts(workers: usize, blocking: usize) {
    WORKERS.store(workers, Ordering::Relaxed);
    BLOCKING.store(blocking, Ordering::Relaxed);
}

/// The number of threads set for asynchronous work.
pub(super) fn workers() -> usize {
    WORKERS.load(Ordering::Relaxed)
}

/// The number of threads set for blocking work.
pub(super) fn blocking_threads() -> usize {
    BLOCKING.load(Ordering::Relaxed)
}

/// Whether this is one of our own threads, which must not wait for the runtime.
pub(crate) fn is_own_thread() -> bool {
    OWN_THREAD.get()
}

/// Marks this thread as one of our own.
pub(super) fn mark_own_thread() {
    OWN_THREAD.set(true);
}

/// Starts a thread that, like those of the runtime, receives no signals. It inherits CPU affinity and scheduling from
/// the thread that starts it, so `taskset` and `chrt` apply to the whole program. For bindings that need their own
/// thread.
///
/// # Errors
///
/// The system's, if it has no thread left.
pub fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    spawn_joinable(name, work).map(drop)
}

/// Checks whether the system has that many threads left, because tokio panics if it does not.
pub(super) fn reserve(count: usize) -> io::Result<()> {
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let threads = (0..count).map(|_| {
        let held = Arc::clone(&held);
        let wait = move || drop(held.lock().map(|held| held.recv()));
        spawn_joinable("secretcache", wait)
    });
    let threads: io::Result<Vec<_>> = threads.collect();
    drop(hold);
    threads?.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

fn spawn_joinable(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    let _blocked = signals::block();
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Our threads receive no signals: a program's handlers run on the program's threads. Signals are blocked before a
/// thread starts, so that it never receives one; threads started by our threads inherit the mask.
#[cfg(unix)]
pub(super) mod signals {
    use std::mem::MaybeUninit;

    pub(in crate::native) struct Blocked(libc::sigset_t);

    pub(in crate::native) fn block() -> Blocked {
        let mut all = MaybeUninit::uninit();
        let mut old = MaybeUninit::uninit();
        // SAFETY: both sets are valid places to write to, and written before they are read.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
            Blocked(old.assume_init())
        }
    }

    impl Drop for Blocked {
        fn drop(&mut self) {
            // SAFETY: restores the mask that `block` found.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }
}

#[cfg(not(unix))]
pub(super) mod signals {
    pub(in crate::native) fn block() {}
}
