//! A server that says what a script contains, whatever it is asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secretcache_rotation::targets::Route;
use secretcache_rotation::{BoxFuture, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// A script. Its first line names what the client does. Then follows what the server says: lines with `==` separate
/// connections, and within a connection, lines with `--` separate what it says at a time.
pub(super) struct Script {
    /// What the client does.
    pub(super) wanted: String,
    connections: Vec<Vec<Vec<u8>>>,
}

/// Who speaks first on a connection.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum First {
    Client,
    Server,
}

/// How long the server waits for the client to say more before it hangs up. Both run on one thread, so a client that is
/// slow to compute is not taken for one that waits.
const PATIENCE: Duration = Duration::from_millis(20);

impl Script {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (wanted, said) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
        let connections = parts(said, b"\n==\n").into_iter();
        Self {
            wanted: String::from_utf8_lossy(wanted).into_owned(),
            connections: connections.map(|connection| parts(&connection, b"\n--\n")).collect(),
        }
    }

    /// Plays the script to a client, which gets the route to the server.
    pub(super) fn play<C: Future<Output = ()>>(
        self,
        first: First,
        client: impl FnOnce(SocketAddr, String) -> C,
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let mut connections = self.connections.into_iter();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(speak(stream, connections.next().unwrap_or_default(), first));
                }
            });
            client(address, self.wanted).await;
        });
    }
}

/// Speaks on one connection, and hangs up at the end of the script.
async fn speak(mut stream: TcpStream, said: Vec<Vec<u8>>, first: First) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut heard = vec![0; 64 << 10];
    for (place, said) in said.iter().enumerate() {
        if (place > 0 || first == First::Client)
            && !matches!(timeout(PATIENCE, stream.read(&mut heard)).await, Ok(Ok(1..)))
        {
            break;
        }
        stream.write_all(said).await?;
    }
    stream.shutdown().await?;
    // To close a connection with unread bytes would take back what was said last.
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

fn parts(mut bytes: &[u8], separator: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(separator.len()).position(|window| window == separator) {
        parts.push(bytes[..at].to_vec());
        bytes = &bytes[at + separator.len()..];
    }
    parts.push(bytes.to_vec());
    parts
}

/// The route to the script's server, whatever host a secret names.
#[derive(Debug)]
pub(super) struct Here(pub(super) SocketAddr);

impl Here {
    pub(super) fn route(address: SocketAddr) -> Arc<dyn Route> {
        Arc::new(Self(address))
    }
}

impl Route for Here {
    fn addresses<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        Box::pin(async { Ok(vec![self.0]) })
    }
}
