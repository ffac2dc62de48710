//! The replicas of a server, and which of them a password may be sent to.
//!
//! Redis does not replicate users, so a replica needs the new password too. But any client that may run `PSYNC` is
//! listed as a replica, at the address that it announces itself. So that list decides nothing: a password goes only to
//! a listed replica that the secret which logs in names.

use std::net::{IpAddr, SocketAddr};

use super::protocol::{Answer, Session, command};
use super::{PORT, Redis, save};
use crate::diagnosis::some_of;
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::settings::MasterHost;
use crate::targets::{STATEMENT_TIMEOUT, port, within};

/// A replica that the secret names.
pub(super) struct Replica {
    host: String,
    port: u16,
    /// The address that the server lists, if it lists an address: a name can stand for several replicas.
    address: Option<SocketAddr>,
}

impl Redis {
    /// Returns a server's replicas, all of which the secret that logs in must name. `None` means that the user is not
    /// allowed to list them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] if the server is itself a replica, or has one that is not named.
    pub(super) async fn replicas(
        &self,
        session: &mut Session,
        login: &Document,
        is_own: bool,
    ) -> Result<Option<Vec<Replica>>, Error> {
        let role = match within(STATEMENT_TIMEOUT, "a query", command(session, &["ROLE"])).await? {
            Ok(role) => role,
            Err(answer) if answer.starts_with("NOPERM") => return Ok(None),
            // Hosted servers hide this command, along with their replicas.
            Err(_) => return Ok(Some(Vec::new())),
        };
        let place = |host: &Answer, port: &Answer| Some((host.text()?.to_owned(), port.text()?.to_owned()));
        let misconfigured = |text| Err(Error::new(ErrorKind::Misconfigured, text));
        let listed = match role.list() {
            [kind, host, port, ..] if matches!(kind.text(), Some("slave")) => {
                let master = place(host, port).unwrap_or_default();
                return misconfigured(format!(
                    "the server is a replica of {}, and users are not replicated: set the secret's \"host\" to the master",
                    shown(&master)
                ));
            }
            [kind, _, replicas] if matches!(kind.text(), Some("master")) => replicas.list(),
            _ => return Ok(Some(Vec::new())),
        };
        let strange = || Error::new(ErrorKind::Unavailable, "the server does not speak Redis's protocol");
        let (named, mut found, mut unnamed) = (named(login)?, Vec::new(), Vec::new());
        for replica in listed {
            let place = match replica.list() {
                [host, port, ..] => place(host, port).ok_or_else(strange)?,
                _ => return Err(strange()),
            };
            match self.find(&named, &place).await? {
                Some(replica) => found.push(replica),
                None => unnamed.push(shown(&place)),
            }
        }
        let Some(unnamed) = some_of(&unnamed) else { return Ok(Some(found)) };
        let secret = if is_own { "the secret" } else { "the master secret" };
        misconfigured(format!(
            "the server lists replicas that nobody named, so no password is sent to them, and the previous one would stay there: {unnamed}. \
             If they are yours, name all of them in the field \"replicas\" of {secret}, as HOST or HOST:PORT, separated by commas; \
             if not, somebody who may run PSYNC announced them: disconnect them (CLIENT KILL TYPE replica) and take that right away"
        ))
    }

    /// Returns the named replica that the server lists at a place, if there is one.
    async fn find(
        &self,
        named: &[Replica],
        (host, port): &(String, String),
    ) -> Result<Option<Replica>, Error> {
        let at_port = || named.iter().filter(|replica| port.parse() == Ok(replica.port));
        let found = |replica: &Replica, address| {
            Some(Replica { host: replica.host.clone(), port: replica.port, address })
        };
        if let Some(replica) = at_port().find(|replica| replica.host.eq_ignore_ascii_case(host)) {
            return Ok(found(replica, None));
        }
        // A listed name is not resolved: whoever announced it decides what it resolves to.
        let Ok(ip) = host.parse::<IpAddr>() else { return Ok(None) };
        for replica in at_port() {
            let addresses = self.link.route.addresses(&replica.host, replica.port).await?;
            if let Some(address) = addresses.iter().find(|address| address.ip() == ip) {
                return Ok(found(replica, Some(*address)));
            }
        }
        Ok(None)
    }

    /// Opens a session on a replica with the first credential that it accepts. The inner error says what is wrong.
    pub(super) async fn login_at(
        &self,
        replica: &Replica,
        credentials: &[&Document],
    ) -> Result<Result<Session, String>, Error> {
        let mut user = None;
        for credential in credentials {
            let there = credential.with("host", &replica.host)?.with("port", &replica.port.to_string())?;
            match self.login_to(&there, replica.address).await {
                Ok(Some(session)) => return Ok(Ok(session)),
                Ok(None) => user = user.or(Some(credential.username()?)),
                Err(error) => {
                    let text = format!(
                        "the replica {replica}, which needs the new password too: {}",
                        error.message()
                    );
                    return Ok(Err(text));
                }
            }
        }
        Ok(Err(format!(
            "the replica {replica} refuses the user {:?}, and users are not replicated: create it there as it is on the master",
            user.as_deref().map_or("", String::as_str)
        )))
    }

    /// Returns the problem on a replica, if there is one: a failed login, or users that cannot be saved.
    pub(super) async fn at_replica(
        &self,
        replica: &Replica,
        login: &Document,
    ) -> Result<Option<String>, Error> {
        match self.login_at(replica, &[login]).await? {
            Err(problem) => Ok(Some(problem)),
            Ok(mut session) => {
                Ok(save(&mut session).await?.err().map(|problem| format!("the replica {replica}: {problem}")))
            }
        }
    }
}

impl std::fmt::Display for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = self.address.map_or_else(|| self.host.clone(), |address| address.ip().to_string());
        f.write_str(&shown(&(host, self.port.to_string())))
    }
}

/// Returns the replicas that a secret names. Their usual port is the one that the secret has.
fn named(login: &Document) -> Result<Vec<Replica>, Error> {
    let Some(text) = login.field("replicas") else { return Ok(Vec::new()) };
    let usual = port(login, PORT)?;
    let replica = |text: &str| match text.parse::<MasterHost>() {
        Ok(MasterHost { host, port }) => Ok(Replica { host, port: port.unwrap_or(usual), address: None }),
        Err(problem) => Err(Error::new(
            ErrorKind::Misconfigured,
            format!("the secret's \"replicas\", a list separated by commas: {problem}"),
        )),
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(replica).collect()
}

/// Returns a place as text. It can be made up, so it is escaped.
fn shown((host, port): &(String, String)) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    format!("{host}:{port}").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_named_with_or_without_a_port() {
        let named = |replicas: &str| {
            let secret = Document::parse(r#"{"port": 7000}"#).unwrap().with("replicas", replicas).unwrap();
            named(&secret).map(|named| named.iter().map(Replica::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            named("10.0.0.7, db-2:6380 ,[::1]:6381").unwrap(),
            ["10.0.0.7:7000", "db-2:6380", "[::1]:6381"]
        );
        assert_eq!(named("").unwrap(), Vec::<String>::new());
        assert!(named("db-2 db-3").unwrap_err().message().contains("HOST or HOST:PORT"));
    }
}
