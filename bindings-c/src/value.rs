//! Values: one version of a secret, held by a C program.

use std::time::SystemTime;

use secretcache::host::{Driver as _, SecretExt as _};
use secretcache::{Secret, SecretCache};
use zeroize::Zeroizing;

use crate::error::{Error, ResultCode};
use crate::text::{Bytes, Str};

/// Holds one version of a secret, or one field of it. It is empty until a function fills it, and can be filled any
/// number of times. It keeps its version in memory even after the cache is freed; the bytes are wiped when neither the
/// cache nor any value holds them. One thread may use it at a time.
///
/// Reads are fastest with one value for each secret and thread: a value that already holds the requested version is not
/// filled again.
#[derive(Clone, Debug, Default)]
pub struct Value {
    secret: Option<Secret>,
    /// The secret's id if a read filled the value with the current version; empty if it was filled otherwise.
    current_of: Vec<u8>,
    /// Whether the value's string is a field of the secret's JSON.
    is_field: bool,
    /// The last requested field, and its place in this version.
    field: String,
    place: Option<usize>,
}

impl Value {
    pub(crate) fn new(secret: Secret) -> Self {
        Self { secret: Some(secret), ..Self::default() }
    }

    /// Whether this value holds the secret's current version and the cache would return the same one. If so, the read
    /// counts as a hit.
    #[inline(always)]
    pub(crate) fn is_current(&self, cache: &SecretCache, id: &[u8]) -> bool {
        self.current_of == id && self.secret.as_ref().is_some_and(|secret| cache.hit_again(secret))
    }

    /// Makes the value the whole secret again.
    #[inline]
    pub(crate) fn drop_field(&mut self) {
        self.is_field = false;
    }

    pub(crate) fn fill(&mut self, secret: Secret) {
        self.current_of.clear();
        self.secret = Some(secret);
        self.is_field = false;
        self.place = None;
    }

    /// Like [`Value::fill`], with the current version of a secret.
    pub(crate) fn fill_with_current(&mut self, id: &[u8], secret: Secret) {
        self.fill(secret);
        self.current_of.extend_from_slice(id);
    }

    /// Makes the value a field of the secret that it holds.
    pub(crate) fn show_field(&mut self, field: &str) -> Result<(), Error> {
        if self.place.is_none() || self.field != field {
            self.place = Some(self.secret()?.field_index(field)?);
            field.clone_into(&mut self.field);
        }
        self.is_field = true;
        Ok(())
    }

    #[inline]
    pub(crate) fn secret(&self) -> Result<&Secret, Error> {
        self.secret.as_ref().ok_or_else(|| Error::invalid("the value is empty: nothing has filled it yet"))
    }

    #[inline]
    pub(crate) fn string(&self) -> Result<Str, Error> {
        let secret = self.secret()?;
        if !self.is_field {
            return Ok(Str::of(secret.string()?));
        }
        let field = self.place.and_then(|place| secret.field_at(place));
        field
            .map(|field| Str::of_terminated(field.as_bytes()))
            .ok_or_else(|| Error::invalid("the value holds no field"))
    }

    #[inline]
    pub(crate) fn binary(&self) -> Result<Bytes, Error> {
        if self.is_field {
            return Err(Error::new(
                ResultCode::SECRETCACHE_WRONG_TYPE,
                "the value is a field, which is a string",
            ));
        }
        Ok(Bytes::of(self.secret()?.binary()?))
    }
}

/// Texts about the version that the value holds; no text if it is empty.
impl Value {
    pub(crate) fn arn(&self) -> Str {
        Str::of_option(self.secret.as_ref().and_then(Secret::arn))
    }

    pub(crate) fn name(&self) -> Str {
        Str::of_option(self.secret.as_ref().and_then(Secret::name))
    }

    pub(crate) fn version_id(&self) -> Str {
        Str::of_option(self.secret.as_ref().and_then(Secret::version_id))
    }

    pub(crate) fn stage(&self, index: usize) -> Str {
        let stages = self.secret.as_ref().map(Secret::version_stages);
        Str::of_option(stages.and_then(|stages| stages.get(index)).map(String::as_str))
    }
}

/// A copy that ends in a NUL. It is allocated once, so that no unwiped part of it is left behind.
pub(crate) fn terminated(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1)));
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

export! {
    /// Returns an empty value; free it with `secretcache_value_free`.
    fn secretcache_value_new() -> *mut Value = std::ptr::null_mut() => {
        Box::into_raw(Box::default())
    }

    /// Frees a value. NULL is ignored.
    fn secretcache_value_free(value: Own<Value>) {
        drop(value);
    }

    /// Empties a value, so that it no longer keeps a secret in memory.
    fn secretcache_value_clear(value: Mut<Value>) {
        *value = Value::default();
    }

    /// Returns a copy of a value, for callbacks that keep it; free it with `secretcache_value_free`. The copy shares
    /// the secret's bytes with the original.
    fn secretcache_value_clone(value: Ref<Value>) -> Result(value_out: *mut Value) {
        Ok(Box::into_raw(Box::new(value.clone())))
    }

    /// Returns the secret string, or the field that the value was filled with. A field ends in a NUL that is not
    /// counted; a whole string does not. Valid until the value is filled again, cleared or freed.
    ///
    /// Fails with SECRETCACHE_WRONG_TYPE if the version holds binary data.
    fn secretcache_value_string(value: Ref<Value>) -> Result(string_out: Str) {
        value.string()
    }

    /// Returns the secret binary. Valid until the value is filled again, cleared or freed.
    ///
    /// Fails with SECRETCACHE_WRONG_TYPE if the version holds a string.
    fn secretcache_value_binary(value: Ref<Value>) -> Result(binary_out: Bytes) {
        value.binary()
    }

    /// Returns one field of a secret whose string is a JSON object, as a new value; free it with
    /// `secretcache_value_free`. A number or boolean is returned as its JSON text.
    ///
    /// Fails with SECRETCACHE_NOT_JSON or SECRETCACHE_FIELD_NOT_FOUND.
    fn secretcache_value_field(value: Ref<Value>, field: Text) -> Result(value_out: *mut Value) {
        let secret = value.secret()?;
        let mut part = Value::new(secret.clone());
        part.show_field(field)?;
        Ok(Box::into_raw(Box::new(part)))
    }

    /// Returns the full ARN of the secret; no text if the source does not set it. Like the other texts below, it is
    /// valid until the value is filled again, cleared or freed.
    fn secretcache_value_arn(value: Ref<Value>) -> Str = Str::NONE => {
        value.arn()
    }

    /// Returns the friendly name of the secret; no text if the source does not set it.
    fn secretcache_value_name(value: Ref<Value>) -> Str = Str::NONE => {
        value.name()
    }

    /// Returns the version id; no text if the source does not set it. The value of a version never changes.
    fn secretcache_value_version_id(value: Ref<Value>) -> Str = Str::NONE => {
        value.version_id()
    }

    /// Returns how many staging labels this version had at the last successful refresh.
    fn secretcache_value_stage_count(value: Ref<Value>) -> usize = 0 => {
        value.secret()?.version_stages().len()
    }

    /// Returns one of the staging labels; no text if `index` is past the last one.
    fn secretcache_value_stage(value: Ref<Value>, index: Is<usize>) -> Str = Str::NONE => {
        value.stage(index)
    }

    /// Returns when this version was created, in milliseconds since 1970 (UTC); -1 if the source does not set it.
    fn secretcache_value_created_ms(value: Ref<Value>) -> i64 = -1 => {
        let created = value.secret()?.created_date();
        let age = created.and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
        age.and_then(|age| i64::try_from(age.as_millis()).ok()).unwrap_or(-1)
    }
}
