//! Text and bytes as C passes them.

use std::ffi::c_char;
use std::ptr;
use std::slice;

use secretcache::Selector;

use crate::error::Error;

/// Text in UTF-8 with its length in bytes, owned by somebody else. It need not end in a NUL, unless the function that
/// gives it says so. `data` is NULL where there is no text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Str {
    /// The first byte, or NULL.
    pub data: *const c_char,
    /// How many bytes there are, a final NUL not counted.
    pub length: usize,
}

/// Bytes with their number, owned by somebody else.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte, or NULL.
    pub data: *const u8,
    /// How many bytes there are.
    pub length: usize,
}

/// Which version of a secret: that with a staging label, or that with a version id; the other of the two has NULL for data.
/// With NULL for both, as with NULL for the selector itself, it is the version labelled AWSCURRENT; naming both is refused
/// with SECRETCACHE_INVALID_ARGUMENT.
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

    /// Text that lives as long as its owner.
    pub(crate) fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }

    pub(crate) fn of_option(text: Option<&str>) -> Self {
        text.map_or(Self::NONE, Self::of)
    }

    /// Text that ends in a NUL, which is not counted.
    pub(crate) fn of_terminated(text: &[u8]) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len().saturating_sub(1) }
    }

    /// The text, checked; `None` if there is none.
    ///
    /// # Safety
    ///
    /// `data` is NULL or has `length` bytes, which nobody changes while the text is used.
    #[inline]
    pub(crate) unsafe fn to_text<'a>(self, name: &str) -> Result<Option<&'a str>, Error> {
        if self.data.is_null() {
            return if self.length == 0 { Ok(None) } else { Err(Error::null(name)) };
        }
        // SAFETY: by contract.
        let bytes = unsafe { bytes_at(self.data.cast(), self.length, name) }?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| Error::invalid_text(name))
    }

    /// The bytes of an id.
    ///
    /// # Safety
    ///
    /// As [`Str::to_text`].
    #[inline]
    pub(crate) unsafe fn to_id<'a>(self, name: &'static str) -> Result<Id<'a>, Error> {
        if self.data.is_null() {
            return Err(Error::null(name));
        }
        // SAFETY: by contract.
        let bytes = unsafe { bytes_at(self.data.cast(), self.length, name) }?;
        Ok(Id { bytes, name })
    }
}

/// An id whose bytes were not looked at yet.
#[derive(Clone, Copy)]
pub(crate) struct Id<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Id<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The id, checked.
    pub(crate) fn text(self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes).map_err(|_| Error::invalid_text(self.name))
    }
}

impl Bytes {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    ///
    /// As [`Str::to_text`].
    pub(crate) unsafe fn to_slice<'a>(self, name: &str) -> Result<&'a [u8], Error> {
        match (self.data.is_null(), self.length) {
            (true, 0) => Ok(&[]),
            (true, _) => Err(Error::null(name)),
            // SAFETY: by contract.
            (false, length) => unsafe { bytes_at(self.data, length, name) },
        }
    }
}

impl VersionSelector {
    /// Which version it names.
    ///
    /// # Safety
    ///
    /// As [`Str::to_text`] for both texts.
    pub(crate) unsafe fn to_selector<'a>(self) -> Result<Selector<'a>, Error> {
        // SAFETY: by contract.
        let (stage, version_id) = unsafe {
            (self.stage.to_text("version->stage")?, self.version_id.to_text("version->version_id")?)
        };
        match (stage, version_id) {
            (None, None) => Ok(Selector::CURRENT),
            (Some(stage), None) => Ok(Selector::stage(stage)),
            (None, Some(version_id)) => Ok(Selector::version_id(version_id)),
            (Some(_), Some(_)) => {
                Err(Error::invalid("the version has both a staging label and a version id; pass one of them"))
            }
        }
    }

    pub(crate) fn of(selector: Selector<'_>) -> Self {
        let version_id = selector.as_version_id();
        let stage = selector.as_stage().filter(|_| version_id.is_none());
        Self { stage: Str::of_option(stage), version_id: Str::of_option(version_id) }
    }
}

/// The version that an optional selector names.
#[inline]
pub(crate) fn selector(version: Option<&VersionSelector>) -> Result<Selector<'_>, Error> {
    match version {
        None => Ok(Selector::CURRENT),
        // SAFETY: the header asks for texts that are there and stay as they are during the call.
        Some(version) => unsafe { version.to_selector() },
    }
}

/// # Safety
///
/// `data` has `length` bytes.
#[inline]
unsafe fn bytes_at<'a>(data: *const u8, length: usize, name: &str) -> Result<&'a [u8], Error> {
    if isize::try_from(length).is_err() {
        return Err(Error::invalid(format!("the length of {name} is {length}, more than memory can hold")));
    }
    // SAFETY: not NULL (both callers looked), and by contract.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}
