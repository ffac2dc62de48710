//! The cache and its reads.

use std::ffi::c_void;
use std::future::IntoFuture;
use std::time::Duration;

use secretcache::host::wait_for;
use secretcache::{Secret, SecretCache};

use crate::arguments::{Id, selector, texts};
use crate::config::Config;
use crate::error::{Error, ResultCode};
use crate::text::{Bytes, Str, VersionSelector};
use crate::value::Value;

/// A cache of secrets. Any number of threads may use it at the same time. It starts no thread and sends no request
/// before the first read; a forked child starts with an empty cache at its own first read.
#[derive(Debug)]
pub struct Cache(SecretCache);

impl Cache {
    pub(crate) fn core(&self) -> &SecretCache {
        &self.0
    }

    #[inline(always)]
    fn read(
        &self,
        secret_id: Id<'_>,
        version: Option<&VersionSelector>,
        value: &mut Value,
        check: impl FnOnce(&Secret) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // The id of a value that is current was checked when it was first read.
        if version.is_none() && value.is_current(&self.0, secret_id.bytes()) {
            check(value.secret()?)?;
            value.drop_field();
            return Ok(());
        }
        self.read_anew(secret_id, version, value, check)
    }

    #[inline(never)]
    fn read_anew(
        &self,
        secret_id: Id<'_>,
        version: Option<&VersionSelector>,
        value: &mut Value,
        check: impl FnOnce(&Secret) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let hit = self.0.get(secret_id.text()?).selector(selector(version)?).wait()?;
        check(&hit)?;
        match version {
            None => value.fill_with_current(secret_id.bytes(), hit.to_secret()),
            Some(_) => value.fill(hit.to_secret()),
        }
        Ok(())
    }
}

/// Called with each secret that could not be fetched, and the reason. `error` is valid until the function returns.
pub type OnFailure =
    Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, error: *const Error)>;

export! {
    /// Returns a new cache; free it with `secretcache_free`. The settings are copied; NULL means the defaults. This
    /// starts no thread and sends no request.
    ///
    /// Fails with SECRETCACHE_INVALID_CONFIGURATION if two settings contradict each other; the error names the setting.
    fn secretcache_new(config: Opt<Config>) -> Result(cache_out: *mut Cache) {
        let cache = config.map_or_else(|| Config::default().build(), Config::build)?;
        Ok(Box::into_raw(Box::new(Cache(cache))))
    }

    /// Frees a cache. No other thread may be using it. Refreshes in progress end on their own; filled values stay
    /// valid. Callbacks can still run until their `release` is called. NULL is ignored.
    fn secretcache_free(cache: Own<Cache>) {
        if let Some(cache) = cache {
            cache.0.close();
        }
    }

    /// Forgets every value, ends the background work, and makes further reads fail with SECRETCACHE_CLOSED. Other
    /// threads can be using the cache at the same time.
    fn secretcache_close(cache: Ref<Cache>) {
        cache.0.close();
    }

    /// Fills a value with a version of a secret, from memory or by waiting for the source. `secret_id` is a name, an
    /// ARN or a partial ARN; NULL for `version` means the version labelled AWSCURRENT. On failure the value is not
    /// changed.
    ///
    /// A read from memory takes no lock, allocates nothing and copies no secret. Keep one value for each secret and
    /// thread: reading the same secret into it again counts no reference and writes nothing that other threads read, so
    /// threads do not slow each other down.
    fn secretcache_get(
        cache: Ref<Cache>,
        secret_id: Id,
        version: Opt<VersionSelector>,
        value: Mut<Value>,
    ) -> Result() {
        cache.read(secret_id, version, value, |_| Ok(()))
    }

    /// Like `secretcache_get`, but waits for at most `timeout_ms`; 0 returns only what is in memory. After a timeout
    /// the request continues, and a later read gets its result.
    ///
    /// Fails with SECRETCACHE_TIMEOUT if the source has not responded in time and there is no last known value. A plain
    /// `secretcache_get` takes no longer than the timeout of the settings.
    fn secretcache_get_within(
        cache: Ref<Cache>,
        secret_id: Id,
        version: Opt<VersionSelector>,
        timeout_ms: Is<u64>,
        value: Mut<Value>,
    ) -> Result() {
        if version.is_none() && value.is_current(&cache.0, secret_id.bytes()) {
            value.drop_field();
            return Ok(());
        }
        let mut reading = cache.0.get(secret_id.text()?).selector(selector(version)?).into_future();
        let secret = wait_for(&mut reading, Duration::from_millis(timeout_ms))
            .ok_or_else(|| Error::timed_out(timeout_ms))??;
        match version {
            None => value.fill_with_current(secret_id.bytes(), secret),
            Some(_) => value.fill(secret),
        }
        Ok(())
    }

    /// Like `secretcache_get`, and returns the secret string. It does not end in a NUL, and is valid until the value is
    /// filled again, cleared or freed.
    ///
    /// Fails with SECRETCACHE_WRONG_TYPE if the version holds binary data.
    fn secretcache_get_string(
        cache: Ref<Cache>,
        secret_id: Id,
        version: Opt<VersionSelector>,
        value: Mut<Value>,
    ) -> Result(string_out: Str) {
        cache.read(secret_id, version, value, |secret| Ok(secret.string().map(drop)?))?;
        value.string()
    }

    /// Like `secretcache_get`, and returns the secret binary. It is valid until the value is filled again, cleared or
    /// freed.
    ///
    /// Fails with SECRETCACHE_WRONG_TYPE if the version holds a string.
    fn secretcache_get_binary(
        cache: Ref<Cache>,
        secret_id: Id,
        version: Opt<VersionSelector>,
        value: Mut<Value>,
    ) -> Result(binary_out: Bytes) {
        cache.read(secret_id, version, value, |secret| Ok(secret.binary().map(drop)?))?;
        value.binary()
    }

    /// Like `secretcache_get`, and returns one field, such as "password", of a secret whose string is a JSON object.
    /// The field becomes the value's string. A number or boolean is returned as its JSON text. The text ends in a NUL
    /// that is not counted, and is valid until the value is filled again, cleared or freed.
    ///
    /// Fails with SECRETCACHE_NOT_JSON or SECRETCACHE_FIELD_NOT_FOUND.
    fn secretcache_get_field(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        field: Text,
        value: Mut<Value>,
    ) -> Result(string_out: Str) {
        if version.is_some() || !value.is_current(&cache.0, secret_id.as_bytes()) {
            let hit = cache.0.get(secret_id).selector(selector(version)?).wait()?;
            hit.field(field)?; // on failure the value is not changed
            match version {
                None => value.fill_with_current(secret_id.as_bytes(), hit.to_secret()),
                Some(_) => value.fill(hit.to_secret()),
            }
        }
        value.show_field(field)?;
        value.string()
    }

    /// Fills a value with the last known version, fresh or not. It never waits for the source and does no I/O, so
    /// threads that must not block can call it; `secretcache_prefetch` and reads of other threads load the values.
    /// Reading a fresh version takes no lock. Reading any other takes the cache's lock, which is held for microseconds
    /// and never during a wait, a request or a callback.
    ///
    /// Fails with SECRETCACHE_NOT_CACHED if no version is known.
    fn secretcache_peek(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        value: Mut<Value>,
    ) -> Result() {
        let Some(hit) = cache.0.get(secret_id).selector(selector(version)?).peek() else {
            return Err(Error::new(
                ResultCode::SECRETCACHE_NOT_CACHED,
                "the secret is not in memory; read it first",
            ));
        };
        value.fill(hit.to_secret());
        Ok(())
    }

    /// Fetches a version now, whatever its age, clears its backoffs, and waits for it. Fills `value` with it, unless
    /// that is NULL. If this fails, reads still get the last known value.
    fn secretcache_refresh(
        cache: Ref<Cache>,
        secret_id: Text,
        version: Opt<VersionSelector>,
        value: Is<*mut Value>,
    ) -> Result() {
        let secret = cache.0.get(secret_id).selector(selector(version)?).refresh_wait()?;
        // SAFETY: the header requires NULL or a value that no other thread uses.
        if let Some(value) = unsafe { value.as_mut() } {
            value.fill(secret);
        }
        Ok(())
    }

    /// Fetches secrets before they are read, twenty per call, and waits for them. Secrets that are cached and not due
    /// for a refresh are skipped. `on_failure`, unless NULL, is called on this thread for each secret that could not be
    /// fetched; such failures do not make this function fail.
    fn secretcache_prefetch(
        cache: Ref<Cache>,
        secret_ids: Is<*const Str>,
        count: Is<usize>,
        on_failure: Is<OnFailure>,
        user_data: Is<*mut c_void>,
    ) -> Result() {
        // SAFETY: the header requires `count` texts that do not change during the call.
        let ids = unsafe { texts(secret_ids, count, "secret_ids") }?;
        for (id, error) in cache.0.prefetch_wait(ids)? {
            if let Some(on_failure) = on_failure {
                let error = Error::from(error);
                // SAFETY: the program passed the function for this.
                unsafe { on_failure(user_data, Str::of(&id), &raw const error) };
            }
        }
        Ok(())
    }

    /// Forgets a secret with all its versions: the next read fetches it.
    fn secretcache_invalidate(cache: Ref<Cache>, secret_id: Text) -> Result() {
        cache.0.invalidate(secret_id);
        Ok(())
    }
}
