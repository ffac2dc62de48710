//! Reads that call the program when they are done.

use std::ffi::c_void;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::ptr;
use std::task::Poll;
use std::time::Duration;

use secretcache::ErrorKind;
use secretcache::host::OwnedSelector;
use tokio::sync::oneshot;

use crate::arguments::selector;
use crate::cache::Cache;
use crate::error::{Error, ResultCode};
use crate::text::VersionSelector;
use crate::value::Value;

/// Called when a read is done. Exactly one of `value` and `error` is not NULL; both are valid until the function
/// returns.
pub type OnDone =
    Option<unsafe extern "C" fn(user_data: *mut c_void, value: *const Value, error: *const Error)>;

/// A read in progress, which can be cancelled. One thread may use it at a time.
#[derive(Debug)]
pub struct Read {
    cancel: Option<oneshot::Sender<()>>,
}

/// Calls the program exactly once when its read is done, even if this is dropped.
struct Done {
    on_done: OnDone,
    user_data: *mut c_void,
    is_called: bool,
}

// SAFETY: the header says on which thread the function runs.
unsafe impl Send for Done {}

impl Done {
    fn finish(mut self, result: Result<Value, Error>) {
        self.is_called = true;
        self.call(result);
    }

    fn call(&self, result: Result<Value, Error>) {
        let Some(on_done) = self.on_done else { return };
        match result {
            // SAFETY: the program passed the function for this one call.
            Ok(value) => unsafe { on_done(self.user_data, &raw const value, ptr::null()) },
            // SAFETY: as above.
            Err(error) => unsafe { on_done(self.user_data, ptr::null(), &raw const error) },
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if !self.is_called {
            let error = secretcache::Error::new(ErrorKind::Closed, "the process is shutting down");
            self.call(Err(error.into()));
        }
    }
}

/// Starts a read. `timeout_ms` is its deadline; 0 means no deadline.
fn start(
    cache: &Cache,
    secret_id: &str,
    version: Option<&VersionSelector>,
    timeout_ms: u64,
    on_done: OnDone,
    user_data: *mut c_void,
) -> Result<Read, Error> {
    let (cache, id) = (cache.core().clone(), secret_id.to_owned());
    let version = OwnedSelector::from(selector(version)?);
    let deadline = if timeout_ms == 0 { Duration::MAX } else { Duration::from_millis(timeout_ms) };
    let (armed, arm) = oneshot::channel::<Done>();
    let (cancel, cancelled) = oneshot::channel();
    secretcache::host::spawn(async move {
        let reading = cache.get(&id).selector(version.as_selector());
        let limited = async {
            match tokio::time::timeout(deadline, reading).await {
                Ok(result) => result.map(Value::new).map_err(Error::from),
                Err(_) => Err(Error::timed_out(timeout_ms)),
            }
        };
        let result = unless_cancelled(limited, cancelled).await;
        if let Ok(done) = arm.await {
            secretcache::host::run_on_event_thread(move || done.finish(result));
        }
    })?;
    // Nothing can fail from here on, so the function is called whatever happens.
    drop(armed.send(Done { on_done, user_data, is_called: false }));
    Ok(Read { cancel: Some(cancel) })
}

/// Returns the result of a read, or SECRETCACHE_CANCELLED if it was cancelled first. Freeing the handle cancels
/// nothing.
async fn unless_cancelled(
    reading: impl Future<Output = Result<Value, Error>>,
    mut cancelled: oneshot::Receiver<()>,
) -> Result<Value, Error> {
    let mut reading = Box::pin(reading);
    let mut can_be_cancelled = true;
    poll_fn(move |context| {
        if let Poll::Ready(result) = reading.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        match can_be_cancelled.then(|| Pin::new(&mut cancelled).poll(context)) {
            Some(Poll::Ready(Ok(()))) => {
                let code = ResultCode::SECRETCACHE_CANCELLED;
                Poll::Ready(Err(Error::new(code, "the program cancelled the read")))
            }
            Some(Poll::Ready(Err(_))) => {
                can_be_cancelled = false;
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    })
    .await
}

export! {
    /// Starts a read like `secretcache_get`, without waiting for it. If this returns SECRETCACHE_OK, `on_done` is
    /// called exactly once, otherwise never. It runs on the thread "secretcache-events", never inside this call, under
    /// the rules of `secretcache_config_on_new_version`; only during a shutdown can it run on another thread. If the
    /// cache is freed in the meantime, the read continues or fails with SECRETCACHE_CLOSED.
    fn secretcache_get_async(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        on_done: Call<OnDone>,
        user_data: Is<*mut c_void>,
    ) -> Result() {
        start(cache, secret_id, version, 0, on_done, user_data).map(drop)
    }

    /// Like `secretcache_get_async`, for a read that can be cancelled. If `timeout_ms` is not 0, it is the read's
    /// deadline, after which `on_done` gets SECRETCACHE_TIMEOUT. Free the handle with `secretcache_read_free`, even
    /// after the read is done.
    fn secretcache_read_start(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        timeout_ms: Is<u64>,
        on_done: Call<OnDone>,
        user_data: Is<*mut c_void>,
    ) -> Result(read_out: *mut Read) {
        let read = start(cache, secret_id, version, timeout_ms, on_done, user_data)?;
        Ok(Box::into_raw(Box::new(read)))
    }

    /// Cancels a read: `on_done` soon gets SECRETCACHE_CANCELLED, unless the read is done or about to be. The request
    /// itself continues, because other readers may be waiting for it.
    fn secretcache_read_cancel(read: Mut<Read>) {
        if let Some(cancel) = read.cancel.take() {
            // If the read is done, no one receives this.
            let _done = cancel.send(());
        }
    }

    /// Frees the handle of a read. A read that is not done continues. NULL is ignored.
    fn secretcache_read_free(read: Own<Read>) {
        drop(read);
    }
}
