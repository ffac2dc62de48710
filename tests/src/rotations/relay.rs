//! Relays between a rotation and the servers it changes. They hold every effect until it is let through.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::message::Protocol;

/// The side of an effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// It has not happened: the server has not seen it.
    Before,
    /// It has happened: the client has not seen the response.
    After,
}

/// A held message. Dropping it without passing it loses the message and its connection.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) effect: String,
    /// Whether the effect is on a server, rather than on the secret.
    pub(super) is_at_resource: bool,
    pub(super) side: Side,
    pass: oneshot::Sender<()>,
}

impl Halt {
    /// Lets the message through.
    pub(super) fn pass(self) {
        let _ = self.pass.send(());
    }
}

/// The size of the buffers.
const ROOM: usize = 16 << 10;

/// Opens a port that relays to a server, and reports every effect to `halts`.
pub(super) async fn open(
    protocol: Protocol,
    is_resource: bool,
    server: u16,
    halts: mpsc::UnboundedSender<Halt>,
) -> Result<u16, String> {
    let listener =
        TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no port is free: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let relay = Relay { protocol, is_resource, server, halts };
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let relay = relay.clone();
            tokio::spawn(async move { relay.carry(client).await });
        }
    });
    Ok(port)
}

#[derive(Clone)]
struct Relay {
    protocol: Protocol,
    is_resource: bool,
    server: u16,
    halts: mpsc::UnboundedSender<Halt>,
}

impl Relay {
    /// Relays a connection's messages until either side closes it or a halt is dropped.
    async fn carry(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let (mut request, mut reply) = (Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
        loop {
            tokio::select! {
                read = from_client.read_buf(&mut request) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    if !self.protocol.is_whole(&request) {
                        continue;
                    }
                    let effect = self.protocol.effect(&request);
                    if let Some(effect) = &effect {
                        self.halt(effect, Side::Before).await?;
                    }
                    to_server.write_all(&request).await?;
                    request.clear();
                    let Some(effect) = effect else { continue };
                    while !self.protocol.is_answered(&reply) {
                        if from_server.read_buf(&mut reply).await? == 0 {
                            return Ok(());
                        }
                    }
                    self.halt(&effect, Side::After).await?;
                    to_client.write_all(&reply).await?;
                    reply.clear();
                }
                read = from_server.read_buf(&mut reply) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    to_client.write_all(&reply).await?;
                    reply.clear();
                }
            }
        }
    }

    async fn halt(&self, effect: &str, side: Side) -> io::Result<()> {
        let (pass, passed) = oneshot::channel();
        let halt = Halt { effect: effect.to_owned(), is_at_resource: self.is_resource, side, pass };
        let over = |_| io::Error::other("the halt was dropped");
        self.halts.send(halt).map_err(|_| io::Error::other("the receiver of halts is gone"))?;
        passed.await.map_err(over)
    }
}
