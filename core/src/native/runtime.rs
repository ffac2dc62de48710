//! The embedded tokio runtime: one per process, one worker thread unless more are asked for, started by the first fetch.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

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
        // Only ever the loser of a race to start one. A plain drop would panic inside another runtime's task.
        if let Some(runtime) = self.runtime.get_mut().ok().and_then(Option::take) {
            runtime.shutdown_background();
        }
    }
}

/// The runtime, started if need be.
///
/// # Errors
///
/// [`ErrorKind::Internal`] if no thread could be started, [`ErrorKind::Closed`] after [`shutdown`].
pub(crate) fn handle() -> Result<&'static Handle, Error> {
    let embedded = RUNTIME.get_or_try_make(start).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the background thread could not be started: {error}"))
    })?;
    let running = embedded.runtime.lock().is_ok_and(|runtime| runtime.is_some());
    if running {
        Ok(&embedded.handle)
    } else {
        Err(Error::new(ErrorKind::Closed, "the process is shutting down"))
    }
}

/// Whether this is one of the runtime's own threads, which must not wait for the runtime.
pub(crate) fn is_own_thread() -> bool {
    OWN_THREAD.get()
}

/// Runs a future on the cache's own runtime, whatever the caller runs on. For bindings that complete something later.
///
/// # Errors
///
/// [`ErrorKind::Internal`] if no thread could be started, [`ErrorKind::Closed`] after [`shutdown`].
pub fn spawn<F>(work: F) -> Result<JoinHandle<F::Output>, Error>
where
    F: Future<Output: Send> + Send + 'static,
{
    Ok(handle()?.spawn(work))
}

/// Sets how many threads the background work of this process has: `workers` for requests and timers, and at most
/// `blocking` more, started when needed, for name look-ups, credential files and blocking sources. One and four unless
/// set.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`] if a number is 0 or beyond [`MOST_THREADS`], or if the threads run already.
pub fn set_threads(workers: usize, blocking: usize) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
    if !(1..=MOST_THREADS).contains(&workers) || !(1..=MOST_THREADS).contains(&blocking) {
        return invalid(format!("{workers} and {blocking} threads: each number must be 1 to {MOST_THREADS}"));
    }
    if RUNTIME.get().is_some() {
        return invalid("the threads run already; set their number before the first secret is read".into());
    }
    WORKERS.store(workers, Ordering::Relaxed);
    BLOCKING.store(blocking, Ordering::Relaxed);
    Ok(())
}

/// The largest number that [`set_threads`] takes; more would be a mistake in units.
pub const MOST_THREADS: usize = 64;

static WORKERS: AtomicUsize = AtomicUsize::new(1);
static BLOCKING: AtomicUsize = AtomicUsize::new(4);

/// Ends the background work of this process, waiting at most `patience` for requests under way. Reads from memory
/// go on working; whatever needs the network fails with [`ErrorKind::Closed`].
///
/// For the end of a process whose host unloads code that background threads might still run. Ordinary programs need
/// not call it.
pub fn shutdown(patience: Duration) {
    let runtime = RUNTIME.get().and_then(|embedded| embedded.runtime.lock().ok()?.take());
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(patience);
    }
}

/// Starts a thread that, like those of the runtime, takes no signals and forgets its parent's pinning and priority.
/// For bindings that need one of their own.
///
/// # Errors
///
/// That the system has no thread to give.
pub fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let _blocked = signals::block();
    let work = move || {
        scheduling::forget_inherited();
        work();
    };
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

thread_local!(static OWN_THREAD: Cell<bool> = const { Cell::new(false) });

fn start() -> io::Result<Embedded> {
    let _blocked = signals::block();
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS.load(Ordering::Relaxed))
        .max_blocking_threads(BLOCKING.load(Ordering::Relaxed))
        .thread_name("secretcache")
        .on_thread_start(|| {
            OWN_THREAD.set(true);
            scheduling::forget_inherited();
        })
        .enable_all()
        .build()?;
    Ok(Embedded { handle: runtime.handle().clone(), runtime: Mutex::new(Some(runtime)) })
}

/// Our threads take no signal: a program's handlers run on the program's threads. Blocking them before a thread
/// starts leaves no moment in which it could get one; threads started by our threads inherit the mask.
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

/// A program that pins its threads to a core, or gives them real-time priority, does not mean ours.
#[cfg(target_os = "linux")]
mod scheduling {
    pub(super) fn forget_inherited() {
        // SAFETY: `sched_param` and `cpu_set_t` are plain data for which zero is valid; the pointers are valid for
        // the calls. Failures (a sandbox that forbids it) leave things as inherited, which is harmless.
        unsafe {
            let parameters: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters);
            let mut cores: libc::cpu_set_t = std::mem::zeroed();
            for core in 0..usize::try_from(libc::CPU_SETSIZE).unwrap_or(0) {
                libc::CPU_SET(core, &mut cores);
            }
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const cores);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod scheduling {
    pub(super) fn forget_inherited() {}
}
