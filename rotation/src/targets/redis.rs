//! Redis and Valkey, from version 6: users of the access control list.

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::tls::Trust;
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Applied, Change, Probe, Target};

/// Redis.
///
/// A user must be allowed `ACL SETUSER` on itself to change its password, or an administrator be named. What is changed
/// is saved to the server's ACL file, where it has one.
#[derive(Clone, Debug)]
pub struct Redis {
    link: Link,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Session = Box<dyn Stream>;

impl Redis {
    /// A target whose servers are trusted as `tls` says.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls) }
    }

    /// The same, reaching its servers by another route.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link } }
    }

    /// Logs in; `None` if the server refuses the credential.
    async fn login(&self, document: &Document) -> Result<Option<Session>, Error> {
        let host = document.require("host")?;
        let unreachable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "could not reach Redis").with_source(error)
        };
        within(CONNECT_TIMEOUT, "the login", async {
            let server = self.link.server(document, 6379).await?;
            let stream = TcpStream::connect(server.addresses.as_slice()).await.map_err(unreachable)?;
            let mut session: Session = match server.trust {
                None => Box::new(stream),
                Some(Trust { config, .. }) => {
                    let name = ServerName::try_from(host.to_string()).map_err(|error| {
                        Error::new(ErrorKind::Misconfigured, "the secret's \"host\" is no host name")
                            .with_source(error)
                    })?;
                    Box::new(TlsConnector::from(config).connect(name, stream).await.map_err(unreachable)?)
                }
            };
            let (user, password) = (document.username()?, document.password()?);
            match command(&mut session, &["AUTH", &user, &password]).await? {
                Ok(()) => Ok(Some(session)),
                Err(answer) if answer.starts_with("WRONGPASS") => Ok(None),
                Err(answer) => Err(fault("log in", &answer)),
            }
        })
        .await
    }
}

impl Target for Redis {
    fn has_dual_passwords(&self) -> bool {
        true
    }

    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, 512)?;
        if credential.username()?.contains(char::is_whitespace) {
            return Err(Error::new(ErrorKind::Rejected, "Redis takes no user names with blanks"));
        }
        credential.require("host").map(drop)
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            Ok(if self.login(credential).await?.is_some() { Probe::Accepted } else { Probe::Refused })
        })
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let Some(mut session) = self.login(change.login).await? else { return Ok(Applied::LoginRefused) };
            let user = change.credential.username()?;
            let mut rules = vec![hashed(change.credential)?];
            rules.extend(change.keep.map(hashed).transpose()?);
            let mut words = vec!["ACL", "SETUSER", &user, "resetpass"];
            words.extend(rules.iter().map(String::as_str));
            within(STATEMENT_TIMEOUT, "the change", async {
                let answer = command(&mut session, &words).await?;
                answer.map_err(|answer| fault("change the password", &answer))?;
                // Without an ACL file there is nothing to save to; the server's configuration is then the operator's.
                match command(&mut session, &["ACL", "SAVE"]).await? {
                    Err(answer) if !answer.contains("ACL file") => Err(fault("save the users", &answer)),
                    _ => Ok(Applied::Done),
                }
            })
            .await
        })
    }

    /// Redis has no way to ask whether a command is allowed that an ordinary user may use. Without any rule, `ACL
    /// SETUSER` changes nothing of a user that exists, and is refused to those who may not change it.
    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(async move {
            let Some(mut session) = self.login(requirements.login).await? else {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "Redis refuses the login that is to change the password",
                ));
            };
            // A user that does not exist would be made.
            if !requirements.is_own() && self.login(requirements.user).await?.is_none() {
                let problem = "the user in use is refused, so that nothing more can be asked about it";
                return Ok(Diagnosis { findings: vec![Finding::new(problem)], ..diagnosis() });
            }
            let (asks, user) = (requirements.login.username()?, requirements.user.username()?);
            let answer = within(STATEMENT_TIMEOUT, "a question", async {
                command(&mut session, &["ACL", "SETUSER", &user]).await
            });
            let findings = match answer.await? {
                Ok(()) => Vec::new(),
                Err(answer) if is_unknown(&answer) => vec![Finding::new(ELASTICACHE)],
                Err(answer) if answer.starts_with("NOPERM") => {
                    let problem = format!(
                        "the user {:?} may not change passwords; name an administrator's secret, or let it, which lets it change any user \
                         (but {ELASTICACHE})",
                        *asks
                    );
                    let mend = format!("ACL SETUSER {} +acl|setuser +acl|save", *asks);
                    vec![Finding::new(problem).mended_by(mend)]
                }
                Err(answer) => return Err(fault("ask about the user", &answer)),
            };
            Ok(Diagnosis { findings, ..diagnosis() })
        })
    }
}

/// Every Redis with users lets them have several passwords.
fn diagnosis() -> Diagnosis {
    Diagnosis { server: "Redis".to_owned(), dual_passwords: true, findings: Vec::new() }
}

/// A password as an ACL rule, by its hash.
fn hashed(credential: &Document) -> Result<String, Error> {
    let mut rule = "#".to_owned();
    for byte in Sha256::digest(credential.password()?.as_bytes()) {
        let _ = write!(rule, "{byte:02x}");
    }
    Ok(rule)
}

/// Sends a command and reads an answer that is a line: fine, or the server's objection.
async fn command(session: &mut Session, words: &[&str]) -> Result<Result<(), String>, Error> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let _ = write!(text, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    let lost = |error: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "the connection to Redis broke").with_source(error)
    };
    session.write_all(text.as_bytes()).await.map_err(lost)?;
    session.flush().await.map_err(lost)?;
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < 4096 {
        line.push(session.read_u8().await.map_err(lost)?);
    }
    let line = String::from_utf8_lossy(&line);
    match line.trim_end().split_at_checked(1) {
        Some(("+", _)) => Ok(Ok(())),
        Some(("-", answer)) => Ok(Err(answer.to_owned())),
        _ => Err(Error::new(ErrorKind::Unavailable, "the server does not answer as Redis does")),
    }
}

/// What the server has against a command. Objections to ACL rules quote them, which are hashes here.
fn fault(what: &str, answer: &str) -> Error {
    let said = format!("could not {what}: Redis says {answer:?}");
    match answer.split(' ').next() {
        _ if is_unknown(answer) => Error::new(ErrorKind::Unsupported, said).and(ELASTICACHE),
        Some("NOPERM") => Error::new(ErrorKind::Denied, said)
            .and("let an administrator run: ACL SETUSER USER +acl|setuser +acl|save")
            .and(ELASTICACHE),
        _ => Error::new(ErrorKind::Unavailable, said),
    }
}

/// Whether the server has no such command, or hides it.
fn is_unknown(answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    answer.contains("unknown command") || answer.contains("unknown subcommand")
}

/// What whoever comes from AWS's function has to know.
const ELASTICACHE: &str = "on ElastiCache and MemoryDB, passwords are set by the services' own API (ModifyUser, \
    UpdateUser) and not by ACL SETUSER: leave such a secret to AWS's function for it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_users_are_changed_by_an_api_the_error_says_so() {
        for (answer, kind) in [
            (
                "ERR unknown command 'acl|setuser', with args beginning with: 'app' 'resetpass'",
                ErrorKind::Unsupported,
            ),
            (
                "ERR Unknown subcommand or wrong number of arguments for 'SETUSER'. Try ACL HELP.",
                ErrorKind::Unsupported,
            ),
            ("NOPERM User app has no permissions to run the 'acl|setuser' command", ErrorKind::Denied),
        ] {
            let error = fault("change the password", answer);
            assert_eq!(error.kind(), kind);
            assert!(
                error.message().contains("ElastiCache") && error.message().contains("ModifyUser"),
                "{error}"
            );
        }
        assert!(!fault("log in", "LOADING").message().contains("ElastiCache"));
    }
}
