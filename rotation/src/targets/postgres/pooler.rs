//! Detects a connection pooler between a session and its server.
//!
//! For cancel requests, a pooler announces its own process ids, which differ from the server's `pg_backend_pid()`.
//! The driver does not expose the announced id, but writes it into cancel requests. So this module sends a cancel
//! request into an in-memory pipe, and reads the id from there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Checks whether this session goes through a pooler such as PgBouncer or RDS Proxy. `number` is the server's own
/// process id for the session.
pub(super) async fn is_pooled(client: &Client, number: i32) -> bool {
    announced(client).await.is_some_and(|announced| announced != number)
}

/// Returns the process id that the other side announced when the session began.
async fn announced(client: &Client) -> Option<i32> {
    let (mine, theirs) = tokio::io::duplex(64);
    let token = client.cancel_token();
    let cancel = token.cancel_query_raw(theirs, Pretended);
    let read = async move {
        let mut mine = mine;
        let mut request = read_packet(&mut mine).await?;
        // If the session uses TLS, the driver asks for TLS first here too.
        if request.len() == 8 {
            mine.write_all(b"S").await.ok()?;
            request = read_packet(&mut mine).await?;
        }
        let number = request.get(8..12)?.try_into().ok()?;
        Some(i32::from_be_bytes(number))
    };
    let (_, number) = tokio::join!(cancel, read);
    number
}

async fn read_packet(from: &mut DuplexStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await.ok()?;
    let rest = usize::try_from(i32::from_be_bytes(length)).ok()?.checked_sub(4).filter(|rest| *rest <= 64)?;
    let mut packet = length.to_vec();
    packet.resize(4 + rest, 0);
    from.read_exact(&mut packet[4..]).await.ok()?;
    Some(packet)
}

/// A stand-in for TLS that encrypts nothing: the pipe never leaves this process.
struct Pretended;

struct Pipe(DuplexStream);

impl TlsConnect<DuplexStream> for Pretended {
    type Stream = Pipe;
    type Error = io::Error;
    type Future = std::future::Ready<Result<Pipe, io::Error>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        std::future::ready(Ok(Pipe(stream)))
    }
}

impl TlsStream for Pipe {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
