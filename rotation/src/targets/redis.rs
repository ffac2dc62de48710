//! Redis 6 and later, and Valkey: users of the access control list (ACL).

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::pki_types::ServerName;
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

use protocol::{Answer, Session, command};

/// Redis 6 and later, and Valkey.
///
/// To change its own password, a user must be allowed `ACL SETUSER`; otherwise an administrator's secret is needed. The
/// change is saved to the server's ACL file or configuration file, so that it survives a restart, and made on every
/// replica too, because Redis does not replicate users. If it cannot be saved or made on one of the servers, it is
/// refused before anything changes.
#[derive(Clone, Debug)]
pub struct Redis {
    link: Link,
}

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
        let host = document.require("host")?;
        let unreachable = |error: std::io::Error| {
            not_trusted(&error).unwrap_or_else(|| {
                Error::new(ErrorKind::Unavailable, "Redis is unreachable").with_source(error)
            })
        };
        within(CONNECT_TIMEOUT, "the login", async {
            let server = self.link.server(document, 6379).await?;
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
            let mut rules = vec![hashed(change.credential)?];
            rules.extend(change.keep.map(hashed).transpose()?);
            let mut words = vec!["ACL", "SETUSER", &user, "resetpass"];
            words.extend(rules.iter().map(String::as_str));
            // The master comes last. Until then it accepts the previous password, so another run can finish the rest.
            let mut servers = Vec::new();
            for replica in self.replicas(&mut session, change.login).await?.unwrap_or_default() {
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
                    let fix = format!("ACL SETUSER {} +acl|setuser +acl|save", *asks);
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
                            *asks,
                            problem.command.to_lowercase().replace(' ', "|")
                        );
                        let finding = Finding::new(problem.to_string());
                        findings.push(if problem.is_denied { finding.fixed_by(fix) } else { finding });
                    }
                }
                match self.replicas(&mut session, requirements.login).await {
                    Ok(None) => warnings.push(format!(
                        "the user {:?} cannot list replicas, where the previous password would stay: ACL SETUSER {} +role",
                        *asks, *asks
                    )),
                    Ok(Some(replicas)) => {
                        for replica in replicas {
                            let problem = self.at_replica(&replica, requirements.login).await?;
                            findings.extend(problem.map(Finding::new));
                        }
                    }
                    Err(error) => findings.push(Finding::new(error.message())),
                }
                findings.extend(about(&mut session, &user, &mut warnings).await?);
            }
            Ok(Diagnosis { findings, warnings, ..diagnosis() })
        })
    }
}

impl Redis {
    /// Returns a server's replicas, each as the login's document with the replica's host and port. `None` means that
    /// the user is not allowed to list them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the server is itself a replica.
    async fn replicas(
        &self,
        session: &mut Session,
        login: &Document,
    ) -> Result<Option<Vec<Document>>, Error> {
        let role = match within(STATEMENT_TIMEOUT, "a query", command(session, &["ROLE"])).await? {
            Ok(role) => role,
            Err(answer) if answer.starts_with("NOPERM") => return Ok(None),
            // Hosted servers hide this command, along with their replicas.
            Err(_) => return Ok(Some(Vec::new())),
        };
        let place = |host: &Answer, port: &Answer| Some(format!("{}:{}", host.text()?, port.text()?));
        match role.list() {
            [kind, host, port, ..] if matches!(kind.text(), Some("slave")) => {
                let master = place(host, port).unwrap_or_default();
                let text = format!(
                    "the server is a replica of {master}, and users are not replicated: set the secret's \"host\" to the master"
                );
                Err(Error::new(ErrorKind::Misconfigured, text))
            }
            [kind, _, replicas] if matches!(kind.text(), Some("master")) => {
                let document = |replica: &Answer| match replica.list() {
                    [host, port, ..] => {
                        let document = login.with("host", host.text().unwrap_or_default());
                        document.and_then(|document| document.with("port", port.text().unwrap_or_default()))
                    }
                    _ => {
                        Err(Error::new(ErrorKind::Unavailable, "the server does not speak Redis's protocol"))
                    }
                };
                replicas.list().iter().map(document).collect::<Result<_, _>>().map(Some)
            }
            _ => Ok(Some(Vec::new())),
        }
    }

    /// Opens a session on a replica with the first credential that it accepts. The inner error says what is wrong.
    async fn login_at(
        &self,
        replica: &Document,
        credentials: &[&Document],
    ) -> Result<Result<Session, String>, Error> {
        let name = format!("{}:{}", *replica.require("host")?, *replica.require("port")?);
        for credential in credentials {
            let there = credential
                .with("host", &replica.require("host")?)?
                .with("port", &replica.require("port")?)?;
            match self.login(&there).await {
                Ok(Some(session)) => return Ok(Ok(session)),
                Ok(None) => {}
                Err(error) => {
                    let text =
                        format!("the replica {name}, which needs the new password too: {}", error.message());
                    return Ok(Err(text));
                }
            }
        }
        let user = replica.username()?;
        Ok(Err(format!(
            "the replica {name} refuses the user {:?}, and users are not replicated: create it there as it is on the master",
            *user
        )))
    }

    /// Returns the problem on a replica, if there is one: a failed login, or users that cannot be saved.
    async fn at_replica(&self, replica: &Document, login: &Document) -> Result<Option<String>, Error> {
        match self.login_at(replica, &[login]).await? {
            Err(problem) => Ok(Some(problem)),
            Ok(mut session) => Ok(save(&mut session).await?.err().map(|problem| {
                format!(
                    "the replica {}: {problem}",
                    replica.field("host").as_deref().map_or("", String::as_str)
                )
            })),
        }
    }
}

/// Checks the user's ACL rules. A user that needs no password is a finding; more than two passwords are a warning.
async fn about(
    session: &mut Session,
    user: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Finding>, Error> {
    let answer = within(STATEMENT_TIMEOUT, "a query", command(session, &["ACL", "GETUSER", user])).await?;
    let Ok(rules) = answer else { return Ok(None) };
    let of = |name: &str| {
        let mut pairs = rules.list().chunks(2);
        pairs
            .find(|pair| pair[0].text() == Some(name))
            .and_then(|pair| pair.get(1))
            .map_or(&[][..], Answer::list)
    };
    if of("flags").iter().any(|flag| flag.text() == Some("nopass")) {
        let problem = format!("the user {user:?} needs no password (nopass), so there is none to rotate");
        return Ok(Some(Finding::new(problem)));
    }
    let passwords = of("passwords").len();
    if passwords > 2 {
        warnings.push(format!(
            "the user {user:?} has {passwords} passwords; all except the secret's own stop working with the rotation"
        ));
    }
    Ok(None)
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

/// Advice for users who come from AWS's rotation function.
const ELASTICACHE: &str = "on ElastiCache and MemoryDB, passwords are set through the services' own API (ModifyUser, UpdateUser), not with ACL SETUSER: keep AWS's rotation function for this secret";

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
