//! What concerns the whole process.

use std::time::Duration;

use secretcache::host::{self, SystemClock};

use crate::text::Str;

export! {
    /// The version of the library that runs, such as "0.1.0", ending in a NUL; the header's is SECRETCACHE_VERSION. It
    /// lives for ever.
    fn secretcache_version() -> Str = Str::NONE => {
        Str::of_terminated(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    }

    /// Sets how many threads the library has in this process, before the first secret is read: `workers` for requests and
    /// timers, and at most `blocking` more, started when needed, for name look-ups, credential files and the functions of
    /// sources; each 1 to 64. One and four unless set. Beside these there is one thread, "secretcache-events", once there
    /// is something to call back. All of them block all signals; they inherit CPU affinity and scheduling.
    ///
    /// Fails with SECRETCACHE_INVALID_ARGUMENT if they run already.
    fn secretcache_set_threads(workers: Is<usize>, blocking: Is<usize>) -> Result() {
        Ok(host::set_threads(workers, blocking)?)
    }

    /// Ends the background work of this process, waiting at most `timeout_ms` for requests and callbacks under way. Reads
    /// from memory go on working; whatever needs the source fails with SECRETCACHE_CLOSED from then on. Reads of
    /// `secretcache_get_async` that are under way are told so. Once this returns before its time is over no callback runs
    /// any more, nor will one, except those of `release`. A callback may call it, and is then not waited for. Only programs
    /// need it that must have no thread left when they end, such as under a leak checker.
    fn secretcache_shutdown(timeout_ms: Is<u64>) {
        let (patience, start) = (Duration::from_millis(timeout_ms), SystemClock::now());
        host::shutdown(patience);
        host::end_event_thread(patience.saturating_sub(SystemClock::now().since(&start)));
    }
}
