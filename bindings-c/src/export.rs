//! Macros that export functions. Every exported function is written with one of them.

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ResultCode};

/// Exports functions to C.
///
/// ```text
/// export! {
///     /// The text for the header.
///     fn secretcache_new(config: Ref<Config>) -> Result(cache_out: *mut Cache) { … }
///
///     /// A function that cannot fail; `= Str::NONE` is its result if an argument is NULL.
///     fn secretcache_value_arn(value: Ref<Value>) -> Str = Str::NONE => { … }
/// }
/// ```
///
/// The first form returns a `secretcache_result` and takes two more parameters than it lists: the output, written only
/// on success, and `error_out`, which is written on failure and can be NULL. [`c_type`] lists the kinds of parameter.
macro_rules! export {
    () => {};
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $kind:ident $(<$type:ty>)?),* $(,)?)
            -> Result($($out:ident: $out_type:ty)?) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[expect(clippy::missing_safety_doc, reason = "the header says what a caller must see to")]
        #[allow(clippy::too_many_arguments, reason = "an output and an error come on top of what is asked for")]
        pub unsafe extern "C" fn $name(
            $($argument: c_type!($kind $(<$type>)?),)*
            $($out: *mut $out_type,)?
            error_out: *mut *mut $crate::error::Error,
        ) -> $crate::error::ResultCode {
            $crate::export::fallible(error_out, || {
                $(let $argument = from_c!($argument, $kind $(<$type>)?)?;)*
                $(
                    // SAFETY: the header requires a place to write to; NULL is refused.
                    let $out = unsafe { $crate::export::place($out, stringify!($out)) }?;
                )?
                let done = $crate::export::body(|| $body)?;
                write_out!(done $(, $out)?);
                Ok(())
            })
        }
        export! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $kind:ident $(<$type:ty>)?),* $(,)?)
            -> $result:ty = $otherwise:expr => $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[expect(clippy::missing_safety_doc, reason = "the header says what a caller must see to")]
        pub unsafe extern "C" fn $name($($argument: c_type!($kind $(<$type>)?)),*) -> $result {
            $crate::export::infallible(|| {
                $(let $argument = from_c!($argument, $kind $(<$type>)?)?;)*
                Ok($body)
            })
            .unwrap_or($otherwise)
        }
        export! { $($rest)* }
    };
    // Functions that return nothing.
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $kind:ident $(<$type:ty>)?),* $(,)?) $body:block
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[expect(clippy::missing_safety_doc, reason = "the header says what a caller must see to")]
        pub unsafe extern "C" fn $name($($argument: c_type!($kind $(<$type>)?)),*) {
            $crate::export::infallible(|| {
                $(let $argument = from_c!($argument, $kind $(<$type>)?)?;)*
                Ok($body)
            })
            .unwrap_or_default()
        }
        export! { $($rest)* }
    };
}

/// Exports functions that call another one with the same arguments, for hosts that cannot pass structures by value: a
/// text is a `char *` that ends in a NUL, both as an argument and as a result. NULL means the same as to the other
/// function.
///
/// ```text
/// forward! {
///     /// Like `secretcache_invalidate`.
///     fn secretcache_ffi_invalidate(cache: Same<*const Cache>, secret_id: Chars, error_out: …)
///         -> Same<ResultCode> = cache::secretcache_invalidate;
/// }
/// ```
macro_rules! forward {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $kind:ident $(<$type:ty>)?),* $(,)?)
            -> $result:ident $(<$result_type:ty>)? = $target:path;
    )*) => { $(
        $(#[$meta])*
        #[unsafe(no_mangle)]
        #[expect(clippy::missing_safety_doc, reason = "the header says what a caller must see to")]
        #[allow(clippy::too_many_arguments, reason = "the other function has as many")]
        pub unsafe extern "C" fn $name(
            $($argument: forward_type!($kind $(<$type>)?)),*
        ) -> forward_type!($result $(<$result_type>)?) {
            // SAFETY: this function has the other one's requirements; texts end in a NUL, or are NULL.
            unsafe { forward_result!($target($(forward_argument!($argument, $kind)),*), $result) }
        }
    )* };
}

/// The C type of a parameter or result of a forwarding function.
macro_rules! forward_type {
    (Same<$type:ty>) => { $type };
    (Chars) => { *const std::ffi::c_char };
}

/// An argument converted for the other function.
macro_rules! forward_argument {
    ($argument:ident, Same) => {
        $argument
    };
    ($argument:ident, Chars) => {
        $crate::arguments::chars((!$argument.is_null()).then(|| std::ffi::CStr::from_ptr($argument)))
    };
}

/// The other function's result; for a text, the pointer to its first byte.
macro_rules! forward_result {
    ($call:expr, Same) => {
        $call
    };
    ($call:expr, Chars) => {
        $call.data
    };
}

/// The C type of a parameter, by its kind.
///
/// | kind | in C | in the body |
/// |---|---|---|
/// | `Ref<T>` | `const T *`, not NULL | `&T` |
/// | `Mut<T>` | `T *`, not NULL, not used by another thread | `&mut T` |
/// | `Opt<T>` | `const T *` or NULL | `Option<&T>` |
/// | `Own<T>` | `T *`, taken over, or NULL | `Option<Box<T>>` |
/// | `Text` | `secretcache_str` in UTF-8 | `&str` |
/// | `Id` | the same | an [`Id`](crate::arguments::Id), whose UTF-8 is checked only when its text is needed |
/// | `OptText` | the same; `data` can be NULL | `Option<&str>` |
/// | `Lossy` | the same, in any encoding | a `String`, empty if there is none |
/// | `Raw` | `secretcache_bytes` | `&[u8]` |
/// | `Call<F>` | a function, not NULL; `F` is an `Option` of it | `F` |
/// | `Is<T>` | a plain value | `T` |
macro_rules! c_type {
    (Ref<$type:ty>) => { *const $type };
    (Mut<$type:ty>) => { *mut $type };
    (Opt<$type:ty>) => { *const $type };
    (Own<$type:ty>) => { *mut $type };
    (Text) => { $crate::text::Str };
    (Id) => { $crate::text::Str };
    (OptText) => { $crate::text::Str };
    (Lossy) => { $crate::text::Str };
    (Raw) => { $crate::text::Bytes };
    (Call<$type:ty>) => { $type };
    (Is<$type:ty>) => { $type };
}

/// Checks a parameter and converts it to its Rust type.
macro_rules! from_c {
    ($argument:ident, Ref<$type:ty>) => {
        from_c!($argument, Opt<$type>).and_then(|there| not_null!(there, $argument))
    };
    ($argument:ident, Mut<$type:ty>) => {
        // SAFETY: as below, and no other thread uses it at the same time.
        not_null!(unsafe { $argument.as_mut() }, $argument)
    };
    ($argument:ident, Opt<$type:ty>) => {
        // SAFETY: the header requires a pointer from this library that is still valid, or NULL.
        Ok::<_, $crate::error::Error>(unsafe { $argument.as_ref() })
    };
    ($argument:ident, Own<$type:ty>) => {
        // SAFETY: as above; `Box::into_raw` made it, and the caller gives up ownership.
        Ok::<_, $crate::error::Error>((!$argument.is_null()).then(|| unsafe { Box::from_raw($argument) }))
    };
    ($argument:ident, Text) => {
        from_c!($argument, OptText).and_then(|text| not_null!(text, $argument))
    };
    ($argument:ident, Id) => {
        bytes_of!($argument)
            .and_then(|bytes| not_null!(bytes, $argument))
            .map(|bytes| $crate::arguments::Id::new(bytes, stringify!($argument)))
    };
    ($argument:ident, OptText) => {
        bytes_of!($argument).and_then(|bytes| $crate::arguments::text(bytes, stringify!($argument)))
    };
    ($argument:ident, Lossy) => {
        Ok::<_, $crate::error::Error>($crate::arguments::lossy(bytes_of!($argument)))
    };
    ($argument:ident, Raw) => {
        bytes_of!($argument).map(Option::unwrap_or_default)
    };
    ($argument:ident, Call<$type:ty>) => {
        not_null!($argument.map(Some), $argument)
    };
    ($argument:ident, Is<$type:ty>) => {
        Ok::<_, $crate::error::Error>($argument)
    };
}

/// The bytes of a `secretcache_str` or `secretcache_bytes`; `None` for NULL.
macro_rules! bytes_of {
    ($argument:ident) => {
        // SAFETY: the header requires `length` bytes that do not change during the call.
        unsafe { $crate::arguments::items($argument.bytes(), $argument.length, stringify!($argument)) }
    };
}

macro_rules! not_null {
    ($there:expr, $argument:ident) => {
        $there.ok_or_else(|| $crate::error::Error::null(stringify!($argument)))
    };
}

macro_rules! write_out {
    ($done:ident) => {
        let () = $done;
    };
    ($done:ident, $out:ident) => {
        $out.write($done);
    };
}

/// The place where an output is written.
///
/// # Safety
///
/// `out` is NULL or valid for a write, and no other thread uses it.
pub(crate) unsafe fn place<'a, T>(out: *mut T, name: &str) -> Result<&'a mut MaybeUninit<T>, Error> {
    // SAFETY: by contract. Its previous content is not read.
    unsafe { out.cast::<MaybeUninit<T>>().as_mut() }.ok_or_else(|| Error::null(name))
}

/// Runs a body, so that `?` in it returns to the caller of this function.
#[inline(always)]
pub(crate) fn body<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    body()
}

/// Runs the body of a function that can fail. A panic becomes an error.
pub(crate) fn fallible(error_out: *mut *mut Error, body: impl FnOnce() -> Result<(), Error>) -> ResultCode {
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(Error::panicked()));
    let Err(error) = result else { return ResultCode::SECRETCACHE_OK };
    let code = error.code();
    // SAFETY: the header requires NULL or a place to write to.
    if let Ok(error_out) = unsafe { place(error_out, "error_out") } {
        error_out.write(Box::into_raw(Box::new(error)));
    }
    code
}

/// Runs the body of a function that cannot report an error. `None` means that it failed.
pub(crate) fn infallible<T>(body: impl FnOnce() -> Result<T, Error>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::ptr;

    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let mut error = ptr::null_mut();
        let code = fallible(&raw mut error, || resume_unwind(Box::new("a defect")));
        assert_eq!(code, ResultCode::SECRETCACHE_INTERNAL);
        // SAFETY: `fallible` made it.
        let error = unsafe { Box::from_raw(error) };
        assert!(error.message().contains("bug"), "{}", error.message());
        assert_eq!(infallible::<()>(|| resume_unwind(Box::new("a defect"))), None);
    }

    #[test]
    fn an_error_needs_no_place() {
        let code = fallible(ptr::null_mut(), || Err(Error::null("cache")));
        assert_eq!(code, ResultCode::SECRETCACHE_NULL_ARGUMENT);
    }
}
