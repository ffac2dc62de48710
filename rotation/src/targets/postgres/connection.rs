//! Connections, and what the server asked for when they were opened.
//!
//! A server can let a user in without asking for a password: by the methods `trust` and `ident` of `pg_hba.conf`, or
//! with `auth_type = trust` or `any` of PgBouncer. The driver, which has a password ready, then reports the same success
//! as after a password was checked. So the stream under the driver notes the server's first message, which is either a
//! request or the permission itself: see "Start-up" in the chapter "Frontend/Backend Protocol" of PostgreSQL's manual.
//! Asking beforehand on another connection would prove less: behind one address there can be several servers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::greeting::{Greeting, read};
use crate::error::{Error, ErrorKind};
use crate::targets::Server;
use crate::targets::inspected::{Inspect, Inspected};

/// An attempt to log in.
pub(super) struct Attempt {
    pub(super) outcome: Result<Client, tokio_postgres::Error>,
    /// Whether the server asked for a password. Otherwise a success proves nothing about it.
    pub(super) is_asked: bool,
}

/// Connects and logs in.
pub(super) async fn connect(mut config: Config, server: &Server, host: &str) -> Result<Attempt, Error> {
    let failed = || Error::new(ErrorKind::Unavailable, "PostgreSQL: could not log in");
    let stream = TcpStream::connect(&*server.addresses).await.map_err(|error| failed().with_source(error))?;
    stream.set_nodelay(true).map_err(|error| failed().with_source(error))?;
    let first = First::default();
    let outcome = match &server.trust {
        None => {
            let stream = watched(stream, first.clone());
            config.ssl_mode(SslMode::Disable).connect_raw(stream, NoTls).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            })
        }
        Some(trust) => {
            let mut tls = MakeRustlsConnect::new((*trust.config).clone());
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, host)
                .map_err(|error| failed().with_source(error))?;
            let tls = WatchedTls(tls, first.clone());
            config.ssl_mode(SslMode::Require).connect_raw(stream, tls).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            })
        }
    };
    Ok(Attempt { outcome, is_asked: first.asks_for_password() })
}

/// The beginning of the server's first message: its type, its length, and the code of the request.
#[derive(Clone, Default)]
struct First(Arc<OnceLock<[u8; 9]>>);

impl First {
    fn asks_for_password(&self) -> bool {
        self.0
            .get()
            .is_some_and(|first| matches!(read(first[0], &first[5..]), Greeting::Scram | Greeting::Older))
    }
}

/// A stream that notes the beginning of what it receives.
type Watched<S> = Inspected<S, Beginning>;

fn watched<S>(stream: S, first: First) -> Watched<S> {
    Inspected::new(stream, Beginning { received: Vec::new(), first })
}

/// What has been received, until it is enough.
struct Beginning {
    received: Vec<u8>,
    first: First,
}

impl Inspect for Beginning {
    fn inspect(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.first.0.get().is_none() {
            self.received.extend(bytes.iter().take(9 - self.received.len()));
            if let Ok(first) = self.received[..].try_into() {
                let _ = self.first.0.set(first);
            }
        }
        Ok(())
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// TLS whose decrypted side is watched.
struct WatchedTls<T>(T, First);

impl<T: TlsConnect<TcpStream, Future: Send + 'static>> TlsConnect<TcpStream> for WatchedTls<T> {
    type Stream = Watched<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, T::Error>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        let Self(tls, first) = self;
        let connected = tls.connect(stream);
        Box::pin(async move { Ok(watched(connected.await?, first)) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt};

    use super::*;

    /// Feeds the bytes in pieces, as a network can deliver them.
    async fn asks(pieces: &[&[u8]]) -> bool {
        let first = First::default();
        let mut answer = in_pieces(pieces);
        let mut stream = watched(&mut answer, first.clone());
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, pieces.concat(), "what is received is passed on");
        first.asks_for_password()
    }

    fn in_pieces(pieces: &[&[u8]]) -> impl AsyncRead + Unpin {
        pieces.iter().fold(Box::pin(tokio::io::empty()) as Pin<Box<dyn AsyncRead>>, |before, piece| {
            Box::pin(before.chain(io::Cursor::new(piece.to_vec())))
        })
    }

    #[tokio::test]
    async fn only_a_request_for_a_password_counts() {
        let ok = b"R\0\0\0\x08\0\0\0\0";
        assert!(asks(&[b"R\0\0\0\x08\0\0\0\x03", ok]).await, "the password itself");
        assert!(asks(&[b"R\0", b"\0\0\x0c\0\0", b"\0\x05salt", ok]).await, "MD5");
        assert!(asks(&[b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"]).await, "SCRAM");
        assert!(!asks(&[ok, b"R\0\0\0\x08\0\0\0\x03"]).await, "nothing, and then too late");
        assert!(!asks(&[b"R\0\0\0\x08\0\0\0\x07"]).await, "GSSAPI");
        assert!(!asks(&[b"E\0\0\0\x0aSFATAL\0\0"]).await, "a refusal");
        assert!(!asks(&[b"R\0\0\0\x08\0\0\0"]).await, "half a message");
        assert!(!asks(&[]).await);
    }
}
