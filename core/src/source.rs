//! The port through which the native driver reaches a secret store.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::answer::Description;
use crate::error::Error;
use crate::id::Selector;
use crate::secret::Fetched;

/// A future on the heap, as ports return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where secrets come from.
///
/// The cache decides what to ask and when; an implementation only asks. It must
///
/// - answer from the store each time, never from a cache of its own;
/// - end in bounded time, with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it must;
/// - keep secret bytes out of `Debug` output and errors;
/// - be cheap to drop in mid-flight: a cancelled future is a normal event.
pub trait SecretSource: Debug + Send + Sync + 'static {
    /// What the store knows about a secret, without its value (`DescribeSecret`).
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>>;

    /// One version of a secret with its value (`GetSecretValue`).
    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>>;
}
