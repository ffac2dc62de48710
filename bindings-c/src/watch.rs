//! Watches, which keep secrets fresh that are not being read.

use crate::cache::Cache;

/// Makes its secret count as in use while it exists.
#[derive(Debug)]
pub struct Watch {
    _core: secretcache::Watch,
}

export! {
    /// Makes a secret count as in use until the watch is freed with `secretcache_watch_free`: it is refreshed without
    /// being read, so new versions are noticed, and it is not evicted. For pools with open connections, and for
    /// callbacks that wait for a new version. Refreshes start with the first read of the secret. The watch can outlive
    /// the cache.
    fn secretcache_watch_new(cache: Ref<Cache>, secret_id: Text) -> Result(watch_out: *mut Watch) {
        Ok(Box::into_raw(Box::new(Watch { _core: cache.core().watch(secret_id) })))
    }

    /// Frees a watch. NULL is ignored.
    fn secretcache_watch_free(watch: Own<Watch>) {
        drop(watch);
    }

    /// Returns whether to close a connection made with this version when it is idle, because another version is current
    /// or the server refused this one; see `secretcache_credential_version_id`. Sends no request; false if the secret
    /// is not cached.
    fn secretcache_is_outdated(cache: Ref<Cache>, secret_id: Text, version_id: Text) -> bool = false => {
        cache.core().is_outdated(secret_id, version_id)
    }
}
