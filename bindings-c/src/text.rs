//! Text and bytes as C passes them.

use std::ffi::c_char;
use std::ptr;

use secretcache::Selector;

/// Borrowed text in UTF-8, with its length in bytes. It ends in a NUL only if the function that returns it says so.
/// `data` is NULL if there is no text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// The first byte, or NULL.
    pub data: *const c_char,
    /// The number of bytes, without a final NUL.
    pub length: usize,
}

/// Borrowed bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte, or NULL.
    pub data: *const u8,
    /// The number of bytes.
    pub length: usize,
}

/// Selects a version of a secret by staging label or by version id; `data` of the other one is NULL. If both are NULL,
/// or the pointer to the selector is, it selects the version labelled AWSCURRENT. Setting both fails with
/// SECRETCACHE_INVALID_ARGUMENT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct VersionSelector {
    /// A staging label, such as AWSPENDING.
    pub stage: Str,
    /// A version id.
    pub version_id: Str,
}

impl Str {
    /// No text.
    pub(crate) const NONE: Self = Self { data: ptr::null(), length: 0 };

    /// Borrows a text; valid as long as its owner.
    pub(crate) fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }

    pub(crate) fn of_option(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, Self::of)
    }

    /// The pointer to the first byte, or NULL.
    pub(crate) fn bytes(self) -> *const u8 {
        self.data.cast()
    }

    /// Borrows a text that ends in a NUL, which is not counted.
    pub(crate) fn of_terminated(text: &[u8]) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len().saturating_sub(1) }
    }
}

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The pointer to the first byte, or NULL.
    pub(crate) fn bytes(self) -> *const u8 {
        self.data
    }
}

impl VersionSelector {
    pub(crate) fn of(selector: Selector<'_>) -> Self {
        let version_id = selector.as_version_id();
        let stage = selector.as_stage().filter(|_| version_id.is_none());
        Self { stage: Str::of_option(stage), version_id: Str::of_option(version_id) }
    }
}
