//! Whether there is a pooler between a session and its server.
//!
//! A pooler hands out session numbers of its own for cancelling queries. The server's own is a question away; they differ.
//! The number is private to the driver, which writes it into a request to cancel: into a pipe that leads nowhere, here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Whether this session goes through a pooler such as PgBouncer or RDS Proxy: the server's own number of it is `number`.
pub(super) async fn is_pooled(client: &Client, number: i32) -> bool {
    announced(client).await.is_some_and(|announced| announced != number)
}

/// The number that the other side announced when the session began.
async fn announced(client: &Client) -> Option<i32> {
    let (mine, theirs) = tokio::io::duplex(64);
    let token = client.cancel_token();
    let cancel = token.cancel_query_raw(theirs, Pretended);
    let read = async move {
        let mut mine = mine;
        let mut request = read_packet(&mut mine).await?;
        // A session over TLS asks for that first.
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

/// TLS over a pipe that nobody else reads.
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
