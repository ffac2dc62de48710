//! What bindings need of an error and applications do not.

use std::any::Any;

use super::Error;

/// An error that carries the exception of the language that a source is written in.
///
/// ```
/// use secretcache::host::ErrorExt;
/// use secretcache::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Connection, "no route").with_host(Box::new("the exception"));
/// assert_eq!(error.host::<&str>(), Some(&"the exception"));
/// ```
pub trait ErrorExt: sealed::Sealed {
    /// The same error carrying a host language's own exception, to be raised again unchanged.
    ///
    /// The object can be dropped at any time and on any thread, even while the cache holds its lock: its `Drop` must
    /// not call into the cache or run foreign code.
    #[must_use]
    fn with_host(self, host: Box<dyn Any + Send + Sync>) -> Self;

    /// The exception given to [`ErrorExt::with_host`], if it is of type `T`.
    fn host<T: 'static>(&self) -> Option<&T>;
}

impl ErrorExt for Error {
    fn with_host(self, host: Box<dyn Any + Send + Sync>) -> Self {
        self.edit(|inner| inner.host = Some(host))
    }

    fn host<T: 'static>(&self) -> Option<&T> {
        self.0.host.as_ref()?.downcast_ref()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Error {}
}
