//! A connection to a directory. TLS is set up here, because `ldap3` would bring its own TLS and turn on other features
//! of `rustls` for the whole program.

use std::io;

use ldap3::{LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rustls::pki_types::ServerName;
#[cfg(unix)]
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::Link;
use super::super::tls::{Trust, not_trusted};
#[cfg(unix)]
use super::nesting::Nesting;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
#[cfg(unix)]
use crate::targets::inspected::Inspected;

/// A connection, closed on drop.
pub(super) type Session = ldap3::Ldap;

/// The port for LDAPS, where TLS starts with the first byte.
const USUAL_PORT: u16 = 636;

/// Connects to the server that a document names. If the document has `"starttls": true`, TLS is requested with
/// STARTTLS, as is usual on port 389; otherwise the connection starts with TLS.
pub(super) async fn open(link: &Link, document: &Document) -> Result<Session, Error> {
    let host = document.require("host")?;
    let server = link.server(document, USUAL_PORT).await?;
    let mut stream = TcpStream::connect(server.addresses.as_slice()).await.map_err(unreachable)?;
    let (socket, url) = match server.trust {
        None => plain(stream)?,
        Some(Trust { config, .. }) => {
            let name = ServerName::try_from(host.to_string()).map_err(|error| {
                Error::new(ErrorKind::Misconfigured, "the secret's \"host\" is not a host name")
                    .with_source(error)
            })?;
            if document.field("starttls").is_some_and(|says| says.eq_ignore_ascii_case("true")) {
                start_tls(&mut stream).await?;
            }
            let stream = TlsConnector::from(config).connect(name, stream).await.map_err(unreachable)?;
            (through(stream)?, "ldapi:///")
        }
    };
    let settings = LdapConnSettings::new().set_std_stream(socket);
    let (connection, session) = LdapConnAsync::with_settings(settings, url).await.map_err(lost)?;
    // The task ends with the session. If the connection fails, pending operations return the error.
    tokio::spawn(async move { drop(connection.drive().await) });
    Ok(session)
}

/// Returns a socket without encryption, and the URL for it.
#[cfg(unix)]
fn plain(stream: TcpStream) -> Result<(StdStream, &'static str), Error> {
    Ok((through(stream)?, "ldapi:///"))
}

#[cfg(not(unix))]
fn plain(stream: TcpStream) -> Result<(StdStream, &'static str), Error> {
    Ok((StdStream::Tcp(stream.into_std().map_err(unreachable)?), "ldap://directory"))
}

/// Returns a local socket that is bridged to the connection.
#[cfg(unix)]
fn through(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<StdStream, Error> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(unreachable)?;
    ours.set_nonblocking(true).map_err(unreachable)?;
    let mut ours = tokio::net::UnixStream::from_std(ours).map_err(unreachable)?;
    let mut stream = Inspected::new(stream, Nesting::default());
    tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut ours, &mut stream).await) });
    Ok(StdStream::Unix(theirs))
}

#[cfg(not(unix))]
fn through(_: tokio_rustls::client::TlsStream<TcpStream>) -> Result<StdStream, Error> {
    let text = "directories over TLS are supported on Unix systems only";
    Err(Error::new(ErrorKind::Unsupported, text))
}

/// Requests STARTTLS (RFC 4511, section 4.14). Reads no byte beyond the response: TLS starts there.
async fn start_tls(stream: &mut TcpStream) -> Result<(), Error> {
    const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    stream.write_all(REQUEST).await.map_err(unreachable)?;
    let mut answer = vec![0; 2];
    stream.read_exact(&mut answer).await.map_err(unreachable)?;
    let longer = answer[1].checked_sub(0x80).map_or(0, usize::from).min(2);
    answer.resize(2 + longer, 0);
    stream.read_exact(&mut answer[2..]).await.map_err(unreachable)?;
    let length = if longer == 0 {
        usize::from(answer[1])
    } else {
        answer[2..].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte))
    };
    let begin = answer.len();
    answer.resize(begin + length, 0);
    stream.read_exact(&mut answer[begin..]).await.map_err(unreachable)?;
    match result_of(&answer) {
        Some(0) => Ok(()),
        Some(code) => {
            let text = format!("the directory refuses STARTTLS: it answers {code}");
            Err(Error::new(ErrorKind::Unencrypted, text))
        }
        None => Err(Error::new(ErrorKind::Unavailable, "the server does not speak LDAP")),
    }
}

/// Returns the result code of an extended response: the first element of the message's second element.
fn result_of(message: &[u8]) -> Option<u8> {
    let (0x30, message, _) = element(message)? else { return None };
    let (0x02, _, rest) = element(message)? else { return None };
    let (0x78, answer, _) = element(rest)? else { return None };
    match element(answer)? {
        (0x0a, [code], _) => Some(*code),
        _ => None,
    }
}

/// Splits off the first BER element: its tag, its content, and the bytes after it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first.checked_sub(0x80) {
        None => (usize::from(*first), rest),
        Some(n @ 1..=2) => {
            let (length, rest) = rest.split_at_checked(n.into())?;
            (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        Some(_) => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((*tag, inside, rest))
}

fn unreachable(error: io::Error) -> Error {
    not_trusted(&error).unwrap_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the directory is unreachable").with_source(error)
    })
}

/// The error for a response that never arrived. Keeps only the text of the driver's error, which could itself hold the
/// request, and so a password.
pub(super) fn lost(error: LdapError) -> Error {
    let cause = io::Error::other(error.to_string());
    Error::new(ErrorKind::Unavailable, "the directory did not answer").with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_result_and_no_further() {
        assert_eq!(result_of(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"), Some(0));
        assert_eq!(result_of(b"\x30\x81\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"), Some(52));
        for wrong in [&b"HTTP/1.1 400"[..], b"\x30\x0c\x02\x01\x01\x78", b"\x30\x84\xff\xff\xff\xff", b""] {
            assert_eq!(result_of(wrong), None);
        }
    }
}
