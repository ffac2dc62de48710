//! What bindings need of a secret and applications do not.

use std::any::Any;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Secret;
use crate::error::Error;
use crate::fetched::Extension;
use crate::time::Coarse;

/// The parts of a [`Secret`] that bindings convert, and what they keep with it.
///
/// ```
/// use secretcache::host::SecretExt;
/// use secretcache::{Fetched, Secret};
///
/// let secret = Secret::from(Fetched::string("v-1", r#"{"user": "app"}"#));
/// let index = secret.field_index("user")?;
/// assert_eq!(secret.field_at(index), Some("app\0"));
/// # Ok::<(), secretcache::Error>(())
/// ```
pub trait SecretExt: sealed::Sealed {
    /// Returns the index of a field, for [`SecretExt::field_at`]. The index never changes for one version.
    ///
    /// # Errors
    ///
    /// As [`Secret::field`].
    fn field_index(&self, field: &str) -> Result<usize, Error>;

    /// Returns the field at an index, followed by a NUL for C. `None` if the index is out of range, or if no field has
    /// been asked for by name yet.
    fn field_at(&self, index: usize) -> Option<&str>;

    /// Returns how long this version can be served without asking the cache again, unless it changes in the meantime
    /// (see [`Cache::count_changes_in`](crate::host::Cache::count_changes_in)). Zero means that every read must ask the
    /// cache.
    fn servable_for(&self, now: Coarse) -> Duration;

    /// Returns which of `slots` counters is incremented when this version changes; see
    /// [`Cache::count_changes_in`](crate::host::Cache::count_changes_in).
    fn change_slot(&self, slots: usize) -> usize;

    /// The binding's own rendering of this version, made by `make` on first use.
    fn extension(&self, make: impl FnOnce() -> Extension) -> &(dyn Any + Send + Sync);

    /// The binding's own rendering, if it has been made.
    fn filled_extension(&self) -> Option<&(dyn Any + Send + Sync)>;

    /// A number that belongs to the binding, zero until set. It is usually the address of something in the extension,
    /// which saves a hit the indirection.
    fn host_data(&self) -> usize;

    /// Sets the number that [`SecretExt::host_data`] returns.
    fn set_host_data(&self, host_data: usize);
}

impl SecretExt for Secret {
    fn field_index(&self, field: &str) -> Result<usize, Error> {
        let index = self.fields()?.iter().position(|(name, _)| **name == *field);
        index.map_or_else(|| self.field_not_found(field), Ok)
    }

    #[inline]
    fn field_at(&self, index: usize) -> Option<&str> {
        self.0.fields.get()?.get(index).map(|(_, text)| text.as_str())
    }

    fn servable_for(&self, now: Coarse) -> Duration {
        self.0.validity.servable_for(now)
    }

    fn change_slot(&self, slots: usize) -> usize {
        // Versions are allocated next to each other; the multiplication spreads them over all slots.
        let product = (self.as_ptr().addr() >> 4).wrapping_mul(0x9E37_79B1);
        (product >> (usize::BITS / 2)) % slots.max(1)
    }

    fn extension(&self, make: impl FnOnce() -> Extension) -> &(dyn Any + Send + Sync) {
        self.extension_cell().get_or_init(make).as_ref()
    }

    #[inline]
    fn filled_extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.extension_cell().get().map(|extension| &**extension)
    }

    #[inline]
    fn host_data(&self) -> usize {
        self.0.host_data.load(Ordering::Acquire)
    }

    fn set_host_data(&self, host_data: usize) {
        self.0.host_data.store(host_data, Ordering::Release);
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Secret {}
}
