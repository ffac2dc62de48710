//! Waiting for the shutdown of a server.

use tokio::sync::watch;

/// Waits until the server is stopped by a handle.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}
