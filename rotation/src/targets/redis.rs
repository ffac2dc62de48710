//! Redis 6 and later, and Valkey: users of the access control list (ACL).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use secretcache::login_refused;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls::{Trust, not_trusted};
use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Applied, Change, Probe, Target};

mod protocol;
mod replicas;

use protocol::{Answer, Session, command};

/// Redis 6 and later, and Valkey.
///
/// To change its own password, a user must be allowed `ACL SETUSER`; otherwise an administrator's secret is needed. The
/// change is saved to the server's ACL file or configuration file, so that it survives a restart, and made on every
/// replica too, because Redis does not replicate users. The secret that logs in must name the replicas, in its field
/// `replicas`. If the change cannot be saved or made on one of the servers, or the server lists a replica that is not
/// named, it is refused before anything changes.
#[derive(Clone, Debug)]
pub struct Redis {
    link: Link,
}

/// The port of a secret that has none.
const PORT: u16 = 6379;

impl Redis {
    /// Creates a target. `tls` decides which servers are trusted.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls) }
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link } }
    }

    /// Logs in; `None` if the server refuses the credential.
    async fn login(&self, document: &Document) -> Result<Option<Session>, Error> {
        self.login_to(document, None).await
    }

    /// Logs in at one of the addresses that the document's host has.
    async fn login_to(
        &self,
        document: &Document,
        address: Option<SocketAddr>,
    ) -> Result<Option<Session>, Error> {
        let host = document.require("host")?;
        let unreachable = |error: std::io::Error| {
            not_trusted(&error).unwrap_or_else(|| {
                Error::new(ErrorKind::Unavailable, "Redis is unreachable").with_source(error)
            })
        };
        within(CONNECT_TIMEOUT, "the login", async {
            let mut server = self.link.server(document, PORT).await?;
            if let Some(address) = address {
                server.addresses.retain(|known| *known == address);
            }
            let stream = TcpStream::connect(server.addresses.as_slice()).await.map_err(unreachable)?;
            let mut session: Session = match server.trust {
                None => Box::new(stream),
                Some(Trust { config, .. }) => {
                    let name = ServerName::try_from(host.to_string()).map_err(|error| {
                        Error::new(ErrorKind::Misconfigured, "the secret's \"host\" is not a host name")
                            .with_source(error)
                    })?;
                    Box::new(TlsConnector::from(config).connect(name, stream).await.map_err(unreachable)?)
                }
            };
            let (user, password) = (document.username()?, document.password()?);
            match command(&mut session, &["AUTH", &user, &password]).await? {
                Ok(_) => Ok(Some(session)),
                Err(answer) if login_refused(answer.split(' ').next(), &answer) => Ok(None),
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
            return Err(Error::new(ErrorKind::Rejected, "Redis does not allow user names with spaces"));
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
            let is_own = *change.login.username()? == *user;
            // Anybody can log in as such a user, so the login that was proven does not show that the secret is its own.
            if let Some(open) = self.about(&mut session, change.login, &user, &mut Vec::new()).await? {
                return Err(Error::new(ErrorKind::Denied, open.problem));
            }
            let mut rules = vec![hashed(change.credential)?];
            rules.extend(change.keep.map(hashed).transpose()?);
            let mut words = vec!["ACL", "SETUSER", &user, "resetpass"];
            words.extend(rules.iter().map(String::as_str));
            // The master comes last. Until then it accepts the previous password, so another run can finish the rest.
            let mut servers = Vec::new();
            for replica in self.replicas(&mut session, change.login, is_own).await?.unwrap_or_default() {
                match self.login_at(&replica, &[change.login, change.credential]).await? {
                    Ok(at_replica) => servers.push(at_replica),
                    Err(problem) => return Err(Error::new(ErrorKind::Denied, problem)),
                }
            }
            servers.push(session);
            for server in &mut servers {
                // Saving before the change shows whether saving after it would work.
                if let Err(problem) = save(server).await? {
                    return Err(Error::new(ErrorKind::Denied, problem.to_string()));
                }
            }
            for server in &mut servers {
                within(STATEMENT_TIMEOUT, "the change", async {
                    let answer = command(server, &words).await?;
                    answer.map_err(|answer| fault("change the password", &answer)).map(drop)
                })
                .await?;
                // The new password already works, and saving worked a moment ago, so this failure can pass.
                if let Err(problem) = save(server).await? {
                    return Err(Error::new(ErrorKind::Unavailable, problem.to_string()));
                }
            }
            Ok(Applied::Done)
        })
    }

    /// Checks permissions by running `ACL SETUSER` without any rule: it changes nothing about an existing user, and is
    /// refused to callers who may not change users. Redis has no query for this that an ordinary user may run.
    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(async move {
            let Some(mut session) = self.login(requirements.login).await? else {
                return Err(Error::new(
                    ErrorKind::Refused,
                    "Redis refuses the login that would change the password",
                ));
            };
            // ACL SETUSER would create a user that does not exist.
            if !requirements.is_own() && self.login(requirements.user).await?.is_none() {
                let problem = "the user in use is refused, so nothing more can be checked";
                return Ok(Diagnosis { findings: vec![Finding::new(problem)], ..diagnosis() });
            }
            let (asks, user) = (requirements.login.username()?, requirements.user.username()?);
            let answer = within(STATEMENT_TIMEOUT, "a query", async {
                command(&mut session, &["ACL", "SETUSER", &user]).await
            });
            let mut findings = match answer.await? {
                Ok(_) => Vec::new(),
                Err(answer) if is_unknown(&answer) => vec![Finding::new(ELASTICACHE)],
                Err(answer) if answer.starts_with("NOPERM") => {
                    let problem = format!(
                        "the user {:?} cannot change passwords; name an administrator's secret, or allow it to, which lets it change any user (but {ELASTICACHE})",
                        *asks
                    );
                    let fix = format!("ACL SETUSER {} +acl|setuser +acl|save", word(&asks));
                    vec![Finding::new(problem).fixed_by(fix)]
                }
                Err(answer) => return Err(fault("ask about the user", &answer)),
            };
            let mut warnings = Vec::new();
            if findings.is_empty() {
                match save(&mut session).await? {
                    Ok(Saved::Kept) => {}
                    Ok(Saved::Nowhere(why)) => warnings.push(why.to_owned()),
                    Err(problem) => {
                        let fix = format!(
                            "ACL SETUSER {} +{}",
                            word(&asks),
                            problem.command.to_lowercase().replace(' ', "|")
                        );
                        let finding = Finding::new(problem.to_string());
                        findings.push(if problem.is_denied { finding.fixed_by(fix) } else { finding });
                    }
                }
                match self.replicas(&mut session, requirements.login, requirements.is_own()).await {
                    Ok(None) => warnings.push(format!(
                        "the user {:?} cannot list replicas, where the previous password would stay: ACL SETUSER {} +role",
                        *asks,
                        word(&asks)
                    )),
                    Ok(Some(replicas)) => {
                        for replica in replicas {
                            let problem = self.at_replica(&replica, requirements.login).await?;
                            findings.extend(problem.map(Finding::new));
                        }
                    }
                    Err(error) => findings.push(Finding::new(error.message())),
                }
                findings.extend(self.about(&mut session, requirements.login, &user, &mut warnings).await?);
            }
            Ok(Diagnosis { findings, warnings, ..diagnosis() })
        })
    }
}

impl Redis {
    /// Checks the user's ACL rules. A user that needs no password is a finding; more than two passwords are a warning.
    async fn about(
        &self,
        session: &mut Session,
        login: &Document,
        user: &str,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Finding>, Error> {
        let answer =
            within(STATEMENT_TIMEOUT, "a query", command(session, &["ACL", "GETUSER", user])).await?;
        let (is_open, passwords) = match answer {
            Ok(rules) => {
                let of = |name: &str| {
                    let mut pairs = rules.list().chunks(2);
                    pairs
                        .find(|pair| pair[0].text() == Some(name))
                        .and_then(|pair| pair.get(1))
                        .map_or(&[][..], Answer::list)
                };
                let is_open = of("flags").iter().any(|flag| flag.text() == Some("nopass"));
                (is_open, of("passwords").len())
            }
            // The login may not read the rules. A password that nobody has shows whether any would do; Redis locks no
            // user for it.
            Err(_) => {
                let any = login.with("username", user)?.with("password", "secretcache: not a password")?;
                (self.login(&any).await?.is_some(), 0)
            }
        };
        if is_open {
            let problem = format!("the user {user:?} needs no password (nopass), so there is none to rotate");
            return Ok(Some(Finding::new(problem)));
        }
        if passwords > 2 {
            warnings.push(format!(
                "the user {user:?} has {passwords} passwords; all except the secret's own stop working with the rotation"
            ));
        }
        Ok(None)
    }
}

/// Whether users survive a restart of the server.
enum Saved {
    /// They are saved to a file on the server.
    Kept,
    /// They cannot be saved, like any other setting of this server. Holds the warning.
    Nowhere(&'static str),
}

/// The reason why users cannot be saved.
struct Unsaved {
    command: &'static str,
    answer: String,
    is_denied: bool,
}

impl std::fmt::Display for Unsaved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, answer, .. } = self;
        write!(f, "the new password would be lost when Redis restarts: {command} answers {answer:?}")
    }
}

/// Saves the current users to the ACL file, or to the configuration file if the server uses none.
async fn save(session: &mut Session) -> Result<Result<Saved, Unsaved>, Error> {
    for command_name in ["ACL SAVE", "CONFIG REWRITE"] {
        let words: Vec<&str> = command_name.split(' ').collect();
        let answer = within(STATEMENT_TIMEOUT, "saving the users", command(session, &words)).await?;
        match answer {
            Ok(_) => return Ok(Ok(Saved::Kept)),
            Err(answer) if answer.contains("configured to use an ACL file") => {}
            Err(answer) if answer.contains("without a config file") => {
                return Ok(Ok(Saved::Nowhere(
                    "Redis runs without a configuration file, so a restart forgets its users and their passwords",
                )));
            }
            Err(answer) if is_unknown(&answer) => {
                return Ok(Ok(Saved::Nowhere(
                    "this server has no command that saves users; ask its provider whether they survive a restart",
                )));
            }
            Err(answer) => {
                let is_denied = answer.starts_with("NOPERM");
                return Ok(Err(Unsaved { command: command_name, answer, is_denied }));
            }
        }
    }
    Ok(Ok(Saved::Kept))
}

/// Returns the diagnosis to start from. Every Redis with ACLs lets a user have several passwords.
fn diagnosis() -> Diagnosis {
    Diagnosis { server: "Redis".to_owned(), dual_passwords: true, ..Diagnosis::default() }
}

/// Returns the ACL rule that adds a password, which it contains only as a hash.
fn hashed(credential: &Document) -> Result<String, Error> {
    let mut rule = "#".to_owned();
    for byte in Sha256::digest(credential.password()?.as_bytes()) {
        let _ = write!(rule, "{byte:02x}");
    }
    Ok(rule)
}

/// The error for a command that the server refused. Redis quotes refused ACL rules; ours contain only hashes.
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

/// Checks whether the server does not have the command, or hides it.
fn is_unknown(answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    answer.contains("unknown command") || answer.contains("unknown subcommand")
}

/// Returns a name as a word of a command, as `redis-cli` reads it. No other program can make more than a word of it, if
/// somebody pastes it there.
fn word(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let mut word = "\"".to_owned();
    for byte in name.bytes() {
        if is_plain(byte) {
            word.push(byte.into());
        } else {
            let _ = write!(word, "\\x{byte:02x}");
        }
    }
    word + "\""
}

/// Advice for users who come from AWS's rotation function.
const ELASTICACHE: &str = "on ElastiCache and MemoryDB, passwords are set through the services' own API (ModifyUser, UpdateUser), not with ACL SETUSER: keep AWS's rotation function for this secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_suggested_command() {
        assert_eq!(word("app-1.x"), "app-1.x");
        assert_eq!(word("a;curl $(e)|\n\"é"), r#""a\x3bcurl\x20\x24\x28e\x29\x7c\x0a\x22\xc3\xa9""#);
    }

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
