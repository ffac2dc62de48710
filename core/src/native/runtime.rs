//! The embedded tokio runtime: one per process, with one worker thread unless [`set_threads`] sets more. The first
//! fetch starts it.

use std::future::Future;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::pool::wait_for_calls;
use super::process::PerProcess;
use super::threads::{self, MOST_THREADS, signals};
use super::{SystemClock, exhausted};
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
    threads::set_counts(workers, blocking);
    Ok(())
}

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

fn start() -> io::Result<Embedded> {
    let workers = threads::workers();
    threads::reserve(workers)?;
    let _blocked = signals::block();
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(threads::blocking_threads())
        .thread_name("secretcache")
        .on_thread_start(threads::mark_own_thread)
        .enable_all()
        .build()?;
    Ok(Embedded { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
}
