//! What C passes to a function, checked.

use std::ffi::{CStr, c_char};
use std::slice;

use secretcache::Selector;

use crate::error::Error;
use crate::text::{Bytes, Str, VersionSelector};

/// A text in UTF-8; `None` if there is none.
///
/// # Safety
///
/// `data` is NULL or has `length` bytes, which nobody changes while the text is used.
#[inline]
pub(crate) unsafe fn text<'a>(text: Str, name: &str) -> Result<Option<&'a str>, Error> {
    if text.data.is_null() {
        return if text.length == 0 { Ok(None) } else { Err(Error::null(name)) };
    }
    // SAFETY: by contract.
    let bytes = unsafe { bytes_at(text.data.cast(), text.length, name) }?;
    std::str::from_utf8(bytes).map(Some).map_err(|_| Error::invalid_text(name))
}

/// An id, of which only the bytes are looked at.
///
/// # Safety
///
/// As [`text`].
#[inline]
pub(crate) unsafe fn id<'a>(text: Str, name: &'static str) -> Result<Id<'a>, Error> {
    if text.data.is_null() {
        return Err(Error::null(name));
    }
    // SAFETY: by contract.
    let bytes = unsafe { bytes_at(text.data.cast(), text.length, name) }?;
    Ok(Id { bytes, name })
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

/// Bytes; NULL is none.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn bytes<'a>(bytes: Bytes, name: &str) -> Result<&'a [u8], Error> {
    match (bytes.data.is_null(), bytes.length) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(Error::null(name)),
        // SAFETY: by contract.
        (false, length) => unsafe { bytes_at(bytes.data, length, name) },
    }
}

/// An array of texts.
///
/// # Safety
///
/// There are `count` texts at `data`, each as [`text`] asks.
pub(crate) unsafe fn texts<'a>(data: *const Str, count: usize, name: &str) -> Result<Vec<&'a str>, Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if data.is_null() {
        return Err(Error::null(name));
    }
    if count > isize::MAX.unsigned_abs() / size_of::<Str>() {
        return Err(Error::invalid(format!("{count} texts in {name} are more than memory can hold")));
    }
    // SAFETY: by contract.
    let texts = unsafe { slice::from_raw_parts(data, count) };
    // SAFETY: by contract.
    let checked = |each: &Str| unsafe { text(*each, name) }?.ok_or_else(|| Error::null(name));
    texts.iter().map(checked).collect()
}

/// The version that an optional selector names.
#[inline]
pub(crate) fn selector(version: Option<&VersionSelector>) -> Result<Selector<'_>, Error> {
    match version {
        None => Ok(Selector::CURRENT),
        // SAFETY: the header asks for texts that are there and stay as they are during the call.
        Some(version) => unsafe { named(*version) },
    }
}

/// # Safety
///
/// As [`text`] for both texts.
unsafe fn named<'a>(version: VersionSelector) -> Result<Selector<'a>, Error> {
    // SAFETY: by contract.
    let (stage, version_id) =
        unsafe { (text(version.stage, "version->stage")?, text(version.version_id, "version->version_id")?) };
    match (stage, version_id) {
        (None, None) => Ok(Selector::CURRENT),
        (Some(stage), None) => Ok(Selector::stage(stage)),
        (None, Some(version_id)) => Ok(Selector::version_id(version_id)),
        (Some(_), Some(_)) => {
            Err(Error::invalid("the version has both a staging label and a version id; pass one of them"))
        }
    }
}

/// A text of an error, which is no place to fail again.
///
/// # Safety
///
/// As [`text`].
pub(crate) unsafe fn lossy(text: Str) -> String {
    let length = if isize::try_from(text.length).is_ok() { text.length } else { 0 };
    // SAFETY: by contract.
    let bytes = unsafe { bytes(Bytes { data: text.data.cast(), length }, "text") }.unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// A text that ends in a NUL, as one with a length; NULL is none.
///
/// # Safety
///
/// `text` is NULL or ends in a NUL.
pub(crate) unsafe fn chars(text: *const c_char) -> Str {
    if text.is_null() {
        return Str::NONE;
    }
    // SAFETY: by contract.
    let length = unsafe { CStr::from_ptr(text) }.count_bytes();
    Str { data: text, length }
}

/// # Safety
///
/// `data` has `length` bytes.
#[inline]
unsafe fn bytes_at<'a>(data: *const u8, length: usize, name: &str) -> Result<&'a [u8], Error> {
    if isize::try_from(length).is_err() {
        return Err(Error::invalid(format!("the length of {name} is {length}, more than memory can hold")));
    }
    // SAFETY: not NULL (the callers looked), and by contract.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}
