//! The port through which the native driver reaches a secret store.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::error::Error;
use crate::fetched::Fetched;
use crate::id::Selector;
use crate::wire::Description;
use crate::{ErrorKind, id};

/// A boxed future, as the methods of [`SecretSource`] return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of secrets.
///
/// The cache decides what to fetch and when; an implementation only fetches. It must
///
/// - answer from the store each time, never from its own cache;
/// - end in bounded time, with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if necessary;
/// - keep secret bytes out of `Debug` output and errors;
/// - be cheap to drop at any time: futures are cancelled.
///
/// ```
/// use secretcache::{BoxFuture, Description, Error, ErrorKind, Fetched, SecretCache, SecretSource, Selector};
///
/// /// Secrets from a file that a sidecar keeps up to date.
/// #[derive(Debug)]
/// struct Mounted;
///
/// impl SecretSource for Mounted {
///     fn describe<'a>(&'a self, _id: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
///         // Denied: refreshes then fetch.
///         Box::pin(async { Err(Error::new(ErrorKind::AccessDenied, "files have no descriptions")) })
///     }
///
///     fn fetch<'a>(&'a self, id: &'a str, _: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
///         Box::pin(async move { Ok(Fetched::string("version-of-today", &format!("the value of {id}"))) })
///     }
/// }
///
/// let cache = SecretCache::builder().source(Mounted).build()?;
/// assert_eq!(cache.get("prod/db").wait()?.string()?, "the value of prod/db");
/// # Ok::<(), Error>(())
/// ```
pub trait SecretSource: Debug + Send + Sync + 'static {
    /// Returns a secret's metadata, without its value (`DescribeSecret`).
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>>;

    /// Returns one version of a secret with its value (`GetSecretValue`).
    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>>;

    /// Returns the current versions of several secrets in one call (`BatchGetSecretValue`); at most [`Batch::MOST`].
    ///
    /// After an error, secrets are fetched one by one. The default returns an error.
    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, Error>> {
        let error = Error::new(ErrorKind::InvalidRequest, format!("cannot batch {} secrets", ids.len()));
        Box::pin(async move { Err(error) })
    }
}

/// The answer to a batch. Secrets in neither list are fetched one by one.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// The versions found, in any order.
    pub found: Vec<Fetched>,
    /// The errors, by the requested id.
    pub failed: Vec<(String, Error)>,
}

impl Batch {
    /// The most secrets one batch can request (API reference, `BatchGetSecretValue`).
    pub const MOST: usize = 20;

    /// Removes and returns the answer for one id.
    pub(crate) fn take(&mut self, id: &str) -> Option<Result<Fetched, Error>> {
        if let Some(place) = self.failed.iter().position(|(failed, _)| failed == id) {
            return Some(Err(self.failed.swap_remove(place).1));
        }
        let is_for = |fetched: &Fetched| {
            let (name, arn) = (fetched.name.as_deref(), fetched.arn.as_deref());
            name == Some(id)
                || arn == Some(id)
                || arn.is_some_and(|arn| id::aliases(id, arn).next().is_some())
        };
        self.found.iter().position(is_for).map(|place| Ok(self.found.swap_remove(place)))
    }
}
