//! The end of a server, for those who wait for it.

use tokio::sync::watch;

/// Ends when a handle says so.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}
