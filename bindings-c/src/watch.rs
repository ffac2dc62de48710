//! Secrets in use that nobody reads.

use crate::cache::Cache;

/// As long as it is there, its secret counts as in use.
#[derive(Debug)]
pub struct Watch {
    _core: secretcache::Watch,
}

export! {
    /// Has a secret count as in use until the watch is freed with `secretcache_watch_free`: the refresher keeps it fresh
    /// although nobody reads it, so that a new version is noticed, and eviction spares it. For pools whose connections
    /// are open, and for callbacks that wait for a new version. Nothing is fetched on its account before the secret has
    /// been read once. It may outlive the cache.
    fn secretcache_watch_new(cache: Ref<Cache>, secret_id: Text) -> Result(watch_out: *mut Watch) {
        Ok(Box::into_raw(Box::new(Watch { _core: cache.core().watch(secret_id) })))
    }

    /// Frees a watch. NULL is nothing to free.
    fn secretcache_watch_free(watch: Own<Watch>) {
        drop(watch);
    }

    /// Whether a connection made with this version should be retired: see `secretcache_credential_version_id`. It asks
    /// nobody, and says no of what it knows nothing of.
    fn secretcache_is_outdated(cache: Ref<Cache>, secret_id: Text, version_id: Text) -> bool = false => {
        cache.core().is_outdated(secret_id, version_id)
    }
}
