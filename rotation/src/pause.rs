//! Real delays.

use std::time::Duration;

use crate::store::{BoxFuture, Pause};

/// Waits on tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealPause;

impl Pause for RealPause {
    fn pause(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}
