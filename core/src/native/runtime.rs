//! The embedded tokio runtime: one per process, with one worker thread unless [`set_threads`] sets more. The first
//! fetch starts it.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::SystemClock;
use super::pool::wait_for_calls;
use super::process::PerProcess;
use crate::error::{Error, ErrorKind};

static RUNTIME: PerProcess<Embedded> = PerProcess::new();

#[derive(Debug)]
struct Embedded {
    handle: Handle,
    /// `None` once it has been shut down.
    runtime: Mutex<Option<Runtime>>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Only the loser of a race to start one gets here. A plain drop would panic inside another runtime's task.
        if let Some(runtime) = self.runtime.get_mut().ok().and_then(Option::take) {
            runtime.shutdown_background();
        }
    }
}

/// Returns the runtime, and starts it if necessary.
///
/// # Errors
///
/// [`ErrorKind::ResourceExhausted`] if the system has no thread or descriptor left, [`ErrorKind::Closed`] after
/// [`shutdown`].
pub(crate) fn handle() -> Result<&'static Handle, Error> {
    let embedded = RUNTIME.get_or_try_make(start).map_err(|error| match exhausted::threads(&error) {
        Some(text) => {
            Error::new(ErrorKind::ResourceExhausted, format!("cannot start the background thread: {text}"))
        }
        None => Error::new(ErrorKind::Internal, format!("cannot start the background thread: {error}")),
    })?;
    let running = embedded.runtime.lock().is_ok_and(|runtime| runtime.is_some());
    if running {
        Ok(&embedded.handle)
    } else {
        Err(Error::new(ErrorKind::Closed, "the process is shutting down"))
    }
}

/// Whether this is one of our own threads, which must not wait for the runtime.
pub(crate) fn is_own_thread() -> bool {
    OWN_THREAD.get()
}

/// Marks this thread as one of our own.
pub(super) fn mark_own_thread() {
    OWN_THREAD.set(true);
}

/// Runs a future on the cache's own runtime, whatever the caller runs on. For bindings that complete something later.
///
/// # Errors
///
/// [`ErrorKind::ResourceExhausted`] if no thread can be started, [`ErrorKind::Closed`] after [`shutdown`].
pub fn spawn<F>(work: F) -> Result<JoinHandle<F::Output>, Error>
where
    F: Future<Output: Send> + Send + 'static,
{
    Ok(handle()?.spawn(work))
}

/// Sets how many threads the background work of this process has: `workers` for requests and timers, and at most
/// `blocking` more, started when needed, for host-name lookups and files. Each [`BlockingPool`](super::BlockingPool)
/// can have as many again. Default: one and four.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] if a number is 0 or beyond [`MOST_THREADS`], or if the threads are already running.
pub fn set_threads(workers: usize, blocking: usize) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
    if !(1..=MOST_THREADS).contains(&workers) || !(1..=MOST_THREADS).contains(&blocking) {
        return invalid(format!("{workers} and {blocking} threads: each number must be 1 to {MOST_THREADS}"));
    }
    if RUNTIME.get().is_some() {
        return invalid("the threads are already running; set their number before the first read".into());
    }
    WORKERS.store(workers, Ordering::Relaxed);
    BLOCKING.store(blocking, Ordering::Relaxed);
    Ok(())
}

/// The largest number that [`set_threads`] accepts; more is a mistake in units.
pub const MOST_THREADS: usize = 64;

static WORKERS: AtomicUsize = AtomicUsize::new(1);
static BLOCKING: AtomicUsize = AtomicUsize::new(4);

/// Stops the background work of this process. Waits at most `patience` for requests in progress, and for calls in a
/// [`BlockingPool`](super::BlockingPool). Reads from memory keep working; reads that need the network fail with
/// [`ErrorKind::Closed`].
///
/// Only needed if the host unloads code that background threads might still run.
pub fn shutdown(patience: Duration) {
    let start = SystemClock::now();
    let runtime = RUNTIME.get().and_then(|embedded| embedded.runtime.lock().ok()?.take());
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(patience);
    }
    wait_for_calls(patience.saturating_sub(SystemClock::now().since(&start)));
}

/// Starts a thread that, like those of the runtime, receives no signals. It inherits CPU affinity and scheduling from
/// the thread that starts it, so `taskset` and `chrt` apply to the whole program. For bindings that need their own
/// thread.
///
/// # Errors
///
/// The system's, if it has no thread left.
pub fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let _blocked = signals::block();
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

thread_local!(static OWN_THREAD: Cell<bool> = const { Cell::new(false) });

fn start() -> io::Result<Embedded> {
    let workers = WORKERS.load(Ordering::Relaxed);
    reserve_threads(workers)?;
    let _blocked = signals::block();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(blocking_threads())
        .thread_name("secretcache")
        .on_thread_start(mark_own_thread)
        .enable_all()
        .build()?;
    Ok(Embedded { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
}

/// The number of threads set for blocking work.
pub(super) fn blocking_threads() -> usize {
    BLOCKING.load(Ordering::Relaxed)
}

/// Checks whether the system has that many threads left, because tokio panics if it does not.
fn reserve_threads(count: usize) -> io::Result<()> {
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let threads = (0..count).map(|_| {
        let held = Arc::clone(&held);
        let wait = move || drop(held.lock().map(|held| held.recv()));
        spawn_joinable(wait)
    });
    let threads: io::Result<Vec<_>> = threads.collect();
    drop(hold);
    threads?.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

fn spawn_joinable(work: impl FnOnce() + Send + 'static) -> io::Result<thread::JoinHandle<()>> {
    let _blocked = signals::block();
    thread::Builder::new().name("secretcache".to_owned()).spawn(work)
}

/// Explains which resource of the process or system has run out, and what to do.
pub(super) mod exhausted {
    use std::io;

    /// For a thread that could not be started.
    pub(in crate::native) fn threads(error: &io::Error) -> Option<&'static str> {
        match error.kind() {
            io::ErrorKind::WouldBlock => Some(
                "no threads left; raise the limit of processes (ulimit -u, or the container's pids limit)",
            ),
            _ => resource(error),
        }
    }

    /// For anything else.
    pub(in crate::native) fn resource(error: &io::Error) -> Option<&'static str> {
        #[cfg(unix)]
        match error.raw_os_error() {
            Some(libc::EMFILE) => {
                return Some(
                    "no file descriptors left in this process; close some or raise the limit (ulimit -n)",
                );
            }
            Some(libc::ENFILE) => return Some("no file descriptors left in this system; raise fs.file-max"),
            Some(libc::ENOBUFS) => return Some("no memory left for network buffers"),
            _ => {}
        }
        (error.kind() == io::ErrorKind::OutOfMemory).then_some("no memory left")
    }
}

/// Our threads receive no signals: a program's handlers run on the program's threads. Signals are blocked before a
/// thread starts, so that it never receives one; threads started by our threads inherit the mask.
#[cfg(unix)]
mod signals {
    use std::mem::MaybeUninit;

    pub(super) struct Blocked(libc::sigset_t);

    pub(super) fn block() -> Blocked {
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
mod signals {
    pub(super) fn block() {}
}
