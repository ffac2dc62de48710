//! The first message that a server sends to a user: which authentication it asks for, or that the user may not connect
//! from here. Only the names of the user and the database are sent, so this never counts as a failed login.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind};
use crate::targets::tls::Trust;

/// The server's first message in a login.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Greeting {
    /// It asks for SCRAM, as it does for every user with a SCRAM verifier.
    Scram,
    /// It asks for the cleartext password, or for an MD5 hash of it.
    Older,
    /// Its rules (`pg_hba.conf`) do not let the user connect from this host. Holds the server's message.
    NotFromHere(String),
    /// It asks for no password: it lets the user in at once, or asks for something else, such as a Kerberos ticket.
    NoPassword,
    /// Any other message.
    Other,
}

/// Starts a login without a password, and returns the server's first message.
pub(super) async fn greet(
    addresses: &[SocketAddr],
    host: &str,
    trust: Option<&Trust>,
    user: &str,
    database: &str,
) -> Result<Greeting, Error> {
    let unreachable = |error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "could not log in to PostgreSQL").with_source(error)
    };
    let mut stream = TcpStream::connect(addresses).await.map_err(unreachable)?;
    let Some(trust) = trust else { return ask(&mut stream, user, database).await.map_err(unreachable) };
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await.map_err(unreachable)?;
    if stream.read_u8().await.map_err(unreachable)? != b'S' {
        return Ok(Greeting::Other);
    }
    let mut tls = MakeRustlsConnect::new((*trust.config).clone());
    let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, host);
    let failed = || Error::new(ErrorKind::Unavailable, "could not log in to PostgreSQL");
    let mut stream = tls
        .map_err(|error| failed().with_source(error))?
        .connect(stream)
        .await
        .map_err(|error| failed().with_source(error))?;
    ask(&mut stream, user, database).await.map_err(unreachable)
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    database: &str,
) -> std::io::Result<Greeting> {
    const VERSION_3: u32 = 196_608;
    let mut startup = VERSION_3.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, ""] {
        startup.extend_from_slice(text.as_bytes());
        startup.push(0);
    }
    let length = u32::try_from(startup.len() + 4).unwrap_or(u32::MAX);
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&startup).await?;
    stream.flush().await?;
    let kind = stream.read_u8().await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX).saturating_sub(4);
    let mut message = vec![0; length.min(MOST)];
    stream.read_exact(&mut message).await?;
    Ok(read(kind, &message))
}

/// The number of bytes read of the first message; servers send fewer.
const MOST: usize = 16 * 1024;

/// Interprets a server's first message, or the beginning of one. The codes are those of the messages `Authentication…`
/// in "Message Formats" of PostgreSQL's manual.
pub(super) fn read(kind: u8, message: &[u8]) -> Greeting {
    const SASL: [u8; 4] = [0, 0, 0, 10];
    const CLEAR: [u8; 4] = [0, 0, 0, 3];
    const MD5: [u8; 4] = [0, 0, 0, 5];
    match kind {
        b'R' if message.starts_with(&SASL) => Greeting::Scram,
        b'R' if message.starts_with(&CLEAR) || message.starts_with(&MD5) => Greeting::Older,
        b'R' if message.len() >= 4 => Greeting::NoPassword,
        b'E' => {
            let fields: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
            let field = |name: u8| {
                let found = fields.iter().find(|field| field.first() == Some(&name))?;
                Some(String::from_utf8_lossy(&found[1..]).into_owned())
            };
            // invalid_authorization_specification
            match (field(b'C').as_deref(), field(b'M')) {
                (Some("28000"), Some(says)) => Greeting::NotFromHere(says),
                _ => Greeting::Other,
            }
        }
        _ => Greeting::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_distinguished() {
        assert_eq!(read(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"), Greeting::Scram);
        assert_eq!(read(b'R', b"\0\0\0\x05salt"), Greeting::Older);
        assert_eq!(read(b'R', b"\0\0\0\0"), Greeting::NoPassword);
        assert_eq!(read(b'R', b"\0\0\0\x07"), Greeting::NoPassword);
        assert_eq!(read(b'R', b"\0"), Greeting::Other);
        let refused = b"SFATAL\0C28000\0Mno pg_hba.conf entry\0\0";
        assert_eq!(read(b'E', refused), Greeting::NotFromHere("no pg_hba.conf entry".into()));
        assert_eq!(read(b'E', b"SFATAL\0C08P01\0Mno such user\0\0"), Greeting::Other);
        assert_eq!(read(b'E', b""), Greeting::Other);
    }
}
