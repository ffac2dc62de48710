//! Reads that tell when they are done.

use std::ffi::c_void;
use std::ptr;

use secretcache::host::OwnedSelector;
use secretcache::{ErrorKind, Secret};

use crate::cache::Cache;
use crate::error::Error;
use crate::text::{VersionSelector, selector};
use crate::value::Value;

/// A read is done. Exactly one of `value` and `error` is not NULL; they live until the function returns.
pub type OnDone =
    Option<unsafe extern "C" fn(user_data: *mut c_void, value: *const Value, error: *const Error)>;

/// The duty to tell a program that its read is done, in every case.
struct Done {
    on_done: OnDone,
    user_data: *mut c_void,
    is_told: bool,
}

// SAFETY: the header says on which thread the function runs.
unsafe impl Send for Done {}

impl Done {
    fn tell(mut self, result: Result<Secret, secretcache::Error>) {
        self.is_told = true;
        self.call(result);
    }

    fn call(&self, result: Result<Secret, secretcache::Error>) {
        let Some(on_done) = self.on_done else { return };
        match result.map(Value::new).map_err(Error::from) {
            // SAFETY: the program gave the function for this one call.
            Ok(value) => unsafe { on_done(self.user_data, &raw const value, ptr::null()) },
            // SAFETY: as above.
            Err(error) => unsafe { on_done(self.user_data, ptr::null(), &raw const error) },
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if !self.is_told {
            self.call(Err(secretcache::Error::new(ErrorKind::Closed, "the process is shutting down")));
        }
    }
}

export! {
    /// Reads as `secretcache_get` does, without waiting: `on_done` is called exactly once if this gives SECRETCACHE_OK, and
    /// never otherwise. It runs on the thread "secretcache-events", never inside this call, under the rules of
    /// `secretcache_config_on_new_version`; only while the library is shut down may it run on the thread that does so. The
    /// read goes on if the cache is freed meanwhile, or fails with SECRETCACHE_CLOSED.
    fn secretcache_get_async(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        on_done: Call<OnDone>,
        user_data: Is<*mut c_void>,
    ) -> Result() {
        let (cache, id) = (cache.core().clone(), secret_id.to_owned());
        let version = OwnedSelector::from(selector(version)?);
        let (armed, arm) = tokio::sync::oneshot::channel::<Done>();
        secretcache::host::spawn(async move {
            let result = cache.get(&id).selector(version.as_selector()).await;
            if let Ok(done) = arm.await {
                secretcache::host::run_on_event_thread(move || done.tell(result));
            }
        })?;
        // Only now can nothing fail any more: from here on the function is called, whatever happens.
        drop(armed.send(Done { on_done, user_data, is_told: false }));
        Ok(())
    }
}
