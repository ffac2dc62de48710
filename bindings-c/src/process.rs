//! Functions that concern the whole process.

use std::time::Duration;

use secretcache::host::{self, SystemClock};

use crate::text::Str;

export! {
    /// Returns the version of the library at run time, such as "0.1.0"; SECRETCACHE_VERSION is the header's. Ends in a
    /// NUL, and is always valid.
    fn secretcache_version() -> Str = Str::NONE => {
        Str::of_terminated(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    }

    /// Sets how many threads the library has in this process; call it before the first read. `workers` handle requests
    /// and timers. Up to `blocking` more, started on demand, resolve host names, read credential files and run the
    /// functions of sources. Each is 1 to 64; the defaults are 1 and 4. One more thread, "secretcache-events", starts
    /// when there is a callback to run. All of them block all signals, and inherit CPU affinity and scheduling.
    ///
    /// Fails with SECRETCACHE_INVALID_ARGUMENT if the threads are already running.
    fn secretcache_set_threads(workers: Is<usize>, blocking: Is<usize>) -> Result() {
        Ok(host::set_threads(workers, blocking)?)
    }

    /// Ends the background work of this process, and waits at most `timeout_ms` for requests and callbacks in progress.
    /// Reads from memory still work; from then on, anything that needs the source fails with SECRETCACHE_CLOSED,
    /// including asynchronous reads in progress. If this returns in time, no callback runs afterwards, except
    /// `release`. If a callback calls it, it does not wait for that callback. Needed only by programs that must exit
    /// with no threads running, for example under a leak checker.
    fn secretcache_shutdown(timeout_ms: Is<u64>) {
        let (patience, start) = (Duration::from_millis(timeout_ms), SystemClock::now());
        host::shutdown(patience);
        host::end_event_thread(patience.saturating_sub(SystemClock::now().since(&start)));
    }
}
