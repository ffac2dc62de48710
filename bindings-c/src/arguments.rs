//! Checks and conversions of the arguments that C passes.

use std::ffi::CStr;
use std::slice;

use secretcache::Selector;

use crate::error::Error;
use crate::text::{Str, VersionSelector};

/// The items of an array; `None` for NULL, which must have a count of 0.
///
/// # Safety
///
/// `data` is NULL or points to `count` items, which do not change while they are used.
#[inline]
pub(crate) unsafe fn items<'a, T>(
    data: *const T,
    count: usize,
    name: &str,
) -> Result<Option<&'a [T]>, Error> {
    if data.is_null() {
        return if count == 0 { Ok(None) } else { Err(Error::null(name)) };
    }
    if count == 0 {
        return Ok(Some(&[]));
    }
    if count > isize::MAX.unsigned_abs() / size_of::<T>() {
        return Err(Error::invalid(format!("the length of {name} is {count}, more than memory can hold")));
    }
    // SAFETY: by contract.
    Ok(Some(unsafe { slice::from_raw_parts(data, count) }))
}

/// Checks that a text is UTF-8; `None` if there is no text.
#[inline]
pub(crate) fn text<'a>(bytes: Option<&'a [u8]>, name: &str) -> Result<Option<&'a str>, Error> {
    bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| Error::invalid_text(name))).transpose()
}

/// A text for an error, with invalid UTF-8 replaced: reporting an error must not fail itself.
pub(crate) fn lossy(bytes: Result<Option<&[u8]>, Error>) -> String {
    String::from_utf8_lossy(bytes.ok().flatten().unwrap_or_default()).into_owned()
}

/// An id whose UTF-8 has not been checked yet.
#[derive(Clone, Copy)]
pub(crate) struct Id<'a> {
    bytes: &'a [u8],
    name: &'static str,
}

impl<'a> Id<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], name: &'static str) -> Self {
        Self { bytes, name }
    }

    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Checks the id and returns its text.
    pub(crate) fn text(self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes).map_err(|_| Error::invalid_text(self.name))
    }
}

/// An array of texts.
///
/// # Safety
///
/// As for [`items`], for the array and for each text.
pub(crate) unsafe fn texts<'a>(data: *const Str, count: usize, name: &str) -> Result<Vec<&'a str>, Error> {
    // SAFETY: by contract.
    let texts = unsafe { items(data, count, name) }?.unwrap_or_default();
    let checked = |each: &Str| {
        // SAFETY: by contract.
        let bytes = unsafe { items(each.bytes(), each.length, name) }?;
        text(bytes, name)?.ok_or_else(|| Error::null(name))
    };
    texts.iter().map(checked).collect()
}

/// The version that an optional selector selects; the current one without a selector.
#[inline]
pub(crate) fn selector(version: Option<&VersionSelector>) -> Result<Selector<'_>, Error> {
    let Some(VersionSelector { stage, version_id }) = version else { return Ok(Selector::CURRENT) };
    let named = |each: &Str, name| {
        // SAFETY: the header requires texts that stay valid and unchanged during the call.
        text(unsafe { items(each.bytes(), each.length, name) }?, name)
    };
    match (named(stage, "version->stage")?, named(version_id, "version->version_id")?) {
        (None, None) => Ok(Selector::CURRENT),
        (Some(stage), None) => Ok(Selector::stage(stage)),
        (None, Some(version_id)) => Ok(Selector::version_id(version_id)),
        (Some(_), Some(_)) => {
            Err(Error::invalid("the version has both a staging label and a version id; pass one of them"))
        }
    }
}

/// Converts a NUL-terminated text to one with a length.
pub(crate) fn chars(text: Option<&CStr>) -> Str {
    text.map_or(Str::NONE, |text| Str { data: text.as_ptr(), length: text.count_bytes() })
}
