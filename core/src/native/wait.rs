//! Waiting for a flight on a plain thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::clock::SystemClock;
use super::threads;
use crate::error::{Error, ErrorKind};

/// Waits on this thread for a future that needs no runtime (a [`Waiter`](crate::host::Waiter), for instance), at most for
/// `patience`. `None`: it took longer; the future can be waited for again.
pub fn wait_for<F: Future + Unpin>(
    future: &mut F,
    patience: impl Into<Option<Duration>>,
) -> Option<F::Output> {
    let patience = patience.into();
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let start = SystemClock::now();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        while !parked.woken.swap(false, Ordering::Acquire) {
            match patience {
                None => thread::park(),
                Some(patience) => {
                    let left = patience.saturating_sub(SystemClock::now().since(&start));
                    if left.is_zero() {
                        return None;
                    }
                    thread::park_timeout(left);
                }
            }
        }
    }
}

/// Fails on the runtime's own threads, where waiting for the runtime would deadlock.
pub(super) fn forbid_own_thread() -> Result<(), Error> {
    if threads::is_own_thread() {
        let text = "a blocking call on the cache's own thread (in an event listener) would deadlock; move the work to another thread";
        return Err(Error::new(ErrorKind::InvalidArgument, text));
    }
    Ok(())
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Closed, "the process is shutting down")
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
