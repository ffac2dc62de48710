//! Work in progress on the cache's own runtime.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::runtime;
use super::wait::stopped;
use crate::error::Error;

/// Work in progress on the cache's own runtime. It can be awaited on any executor; dropping it does not cancel the
/// work.
#[derive(Debug)]
#[must_use = "the work continues, but its result is lost"]
pub struct Task<T>(JoinHandle<Result<T, Error>>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn start(
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self(runtime::handle()?.spawn(work)))
    }
}

/// Resolves to the outcome; [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the runtime was shut down in the
/// meantime.
impl<T> Future for Task<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|ended| ended.unwrap_or_else(|_| Err(stopped())))
    }
}
