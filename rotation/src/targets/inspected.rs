//! A stream that shows what it receives to an inspector, which can refuse it, before the driver gets it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done with each piece that is received.
pub(super) trait Inspect {
    /// Looks at the next bytes.
    ///
    /// # Errors
    ///
    /// The driver gets the error instead of the bytes.
    fn inspect(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A stream that passes everything on, and shows what it receives to `I` first.
pub(super) struct Inspected<S, I> {
    pub(super) stream: S,
    inspector: I,
}

impl<S, I> Inspected<S, I> {
    pub(super) fn new(stream: S, inspector: I) -> Self {
        Self { stream, inspector }
    }
}

impl<S: AsyncRead + Unpin, I: Inspect + Unpin> AsyncRead for Inspected<S, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.inspector.inspect(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin, I: Unpin> AsyncWrite for Inspected<S, I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
