//! A value served from memory, without a shared reference count.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use papaya::LocalGuard;

use crate::secret::{Secret, Version};

/// A cached version, borrowed from the cache.
///
/// While it exists, the version stays in memory even if it is replaced or evicted. So hold it only briefly, and use
/// [`Hit::to_secret`] to keep the version longer. It stays on the thread that got it.
///
/// ```no_run
/// let cache = secretcache::SecretCache::default();
/// let hit = cache.get("prod/db").wait()?;
/// let password = hit.field("password")?; // a `Hit` dereferences to a `Secret`
/// let keep = hit.to_secret();
/// # Ok::<(), secretcache::Error>(())
/// ```
pub struct Hit<'a> {
    /// Holds a reference count only if there is no guard.
    secret: ManuallyDrop<Secret>,
    guard: Option<LocalGuard<'a>>,
}

impl<'a> Hit<'a> {
    /// # Safety
    ///
    /// `version` must have been read from a map under `guard`, and the map must keep one reference to it until the
    /// guard allows reclamation.
    #[inline]
    pub(crate) unsafe fn guarded(version: *const Version, guard: LocalGuard<'a>) -> Self {
        // SAFETY: the pointer came from `Arc::as_ptr` of a live `Secret` (by contract), and with a guard nothing releases
        // a reference for it.
        let secret = Secret::from_version(unsafe { Arc::from_raw(version) });
        Self { secret: ManuallyDrop::new(secret), guard: Some(guard) }
    }

    pub(crate) fn owned(secret: Secret) -> Self {
        Self { secret: ManuallyDrop::new(secret), guard: None }
    }

    /// Returns the version as an owned [`Secret`], which shares the bytes and can be kept.
    pub fn to_secret(&self) -> Secret {
        Secret::clone(&self.secret)
    }
}

impl Drop for Hit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.guard.is_none() {
            // SAFETY: it is dropped here only, and holds a reference (see `owned`).
            unsafe { ManuallyDrop::drop(&mut self.secret) };
        }
    }
}

impl Deref for Hit<'_> {
    type Target = Secret;

    #[inline]
    fn deref(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for Hit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secret.fmt(f)
    }
}
