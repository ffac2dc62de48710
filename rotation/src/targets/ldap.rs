//! LDAP directories such as OpenLDAP and 389 Directory Server, and Active Directory.

use std::collections::HashSet;
use std::sync::Arc;

use ldap3::exop::PasswordModify;
use ldap3::{LdapResult, Mod, Scope, SearchEntry, ldap_escape};
use zeroize::Zeroizing;

use super::{CONNECT_TIMEOUT, Link, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Applied, Change, Probe, Target};

#[cfg(unix)]
mod nesting;
mod session;

use session::Session;

/// An LDAP directory.
///
/// The secret's `username` is the DN to bind with; with Active Directory it can also be a `userPrincipalName`. A user
/// changes its own password, or an administrator does. As the protocol requires, the password is sent unhashed, so that
/// the server can apply its policy and its own hash; TLS protects it. Referrals are not followed, because that would
/// send the password to another server.
#[derive(Clone, Debug)]
pub struct Ldap {
    link: Link,
    is_active_directory: bool,
}

impl Ldap {
    /// Creates a target for directories that change passwords with the operation of RFC 3062. `tls` decides which
    /// servers are trusted.
    pub fn new(tls: Tls) -> Self {
        Self { link: Link::new(tls), is_active_directory: false }
    }

    /// Creates a target for Active Directory, which keeps passwords in the attribute `unicodePwd`.
    pub fn active_directory(tls: Tls) -> Self {
        Self { is_active_directory: true, ..Self::new(tls) }
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        Self { link: Link { route, ..self.link }, ..self }
    }

    /// Logs in; `None` if the server refuses the credential.
    async fn login(&self, document: &Document) -> Result<Option<Session>, Error> {
        let (user, password) = (document.username()?, document.password()?);
        // Servers treat a login without a password as anonymous, and accept it.
        if user.is_empty() || password.is_empty() {
            let text = "the secret's \"username\" or \"password\" is empty: an anonymous login would be accepted and prove nothing";
            return Err(Error::new(ErrorKind::Misconfigured, text));
        }
        within(CONNECT_TIMEOUT, "the login", async {
            let mut session = session::open(&self.link, document).await?;
            let result = session.simple_bind(&user, &password).await.map_err(session::lost)?;
            match result.rc {
                0 => Ok(Some(session)),
                INVALID_CREDENTIALS | INAPPROPRIATE_AUTHENTICATION => {
                    why_refused(&result.text).map_or(Ok(None), Err)
                }
                _ => Err(fault("log in", &result)),
            }
        })
        .await
    }

    /// Returns the DN of a user. A `userPrincipalName` is looked up on the server; exactly one entry must have it.
    async fn dn(&self, session: &mut Session, user: &str) -> Result<String, Error> {
        if is_dn(user) {
            return Ok(user.to_owned());
        }
        let root = read_root(session).await?;
        let base = root.first("defaultNamingContext").unwrap_or_default();
        let filter = format!("(userPrincipalName={})", ldap_escape(user));
        let found = search(session, &base, Scope::Subtree, &filter, &["1.1"]).await?;
        match &found[..] {
            [one] => Ok(one.dn.clone()),
            _ => Err(Error::new(
                ErrorKind::Misconfigured,
                format!("{} entries have the userPrincipalName {user:?}; exactly one must", found.len()),
            )),
        }
    }
}

impl Target for Ldap {
    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, 1024)?;
        let user = credential.username()?;
        let is_name = self.is_active_directory && user.contains('@');
        if !is_dn(&user) && !is_name {
            let or = if self.is_active_directory {
                ", or a userPrincipalName such as app@example.com"
            } else {
                ""
            };
            let text = format!(
                "the user name {:?} is not a DN such as uid=app,ou=services,dc=example,dc=com{or}",
                *user
            );
            return Err(Error::new(ErrorKind::Rejected, text));
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
            let (user, password) = (change.credential.username()?, change.credential.password()?);
            let is_own = *change.login.username()? == *user;
            // Some servers let a user change its own password only if it also sends the current one.
            let former = if is_own { Some(change.login.password()?) } else { None };
            within(STATEMENT_TIMEOUT, "the change", async {
                let result = if self.is_active_directory {
                    let dn = self.dn(&mut session, &user).await?;
                    session.modify(&dn, in_unicode(former.as_deref().map(String::as_str), &password)).await
                } else {
                    let change = PasswordModify {
                        user_id: Some(&user),
                        old_pass: former.as_deref().map(String::as_str),
                        new_pass: Some(&password),
                    };
                    session.extended(change).await.map(|answer| answer.1)
                };
                match result.map_err(session::lost)? {
                    LdapResult { rc: 0, .. } => Ok(Applied::Done),
                    result => Err(fault(CHANGE, &result)),
                }
            })
            .await
        })
    }

    /// Checks the kind of server and the operation it needs, and that the administrator can find the user's entry. A
    /// directory cannot be asked in advance whether it will allow a change, or what its password policy is.
    fn diagnose<'a>(&'a self, requirements: Requirements<'a>) -> BoxFuture<'a, Result<Diagnosis, Error>> {
        Box::pin(async move {
            let Some(mut session) = self.login(requirements.login).await? else {
                let text = "the directory refuses the login that would change the password";
                return Err(Error::new(ErrorKind::Refused, text));
            };
            within(STATEMENT_TIMEOUT, "a query", async {
                let root = read_root(&mut session).await?;
                let is_active_directory = root.has("supportedCapabilities", ACTIVE_DIRECTORY);
                let problem = match (self.is_active_directory, is_active_directory) {
                    (false, true) => Some("the server is Active Directory: set the secret's \"engine\" to \"active-directory\""),
                    (true, false) => Some("the server is not Active Directory: set the secret's \"engine\" to \"ldap\""),
                    (false, false) if !root.has("supportedExtension", PASSWORD_MODIFY) => {
                        Some("the server does not support the operation that changes passwords (RFC 3062)")
                    }
                    _ => None,
                };
                let mut findings: Vec<_> = problem.map(Finding::new).into_iter().collect();
                let user = requirements.user.username()?;
                if findings.is_empty() && !requirements.is_own() {
                    let dn = self.dn(&mut session, &user).await?;
                    if search(&mut session, &dn, Scope::Base, ANYTHING, &["1.1"]).await?.is_empty() {
                        let problem = format!("the administrator cannot find the entry {dn:?}");
                        findings.push(Finding::new(problem));
                    }
                }
                let warnings = vec![format!(
                    "a directory does not say beforehand whether {:?} can change the password, or what its password policy requires; if the change is refused, the rotation removes AWSPENDING",
                    *requirements.login.username()?
                )];
                Ok(Diagnosis { server: root.server(is_active_directory), findings, warnings, ..Diagnosis::default() })
            })
            .await
        })
    }
}

/// The root DSE: the entry in which a server describes itself.
struct Root(SearchEntry);

impl Root {
    fn first(&self, name: &str) -> Option<String> {
        self.values(name).first().cloned()
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.values(name).iter().any(|had| had == value)
    }

    fn values(&self, name: &str) -> &[String] {
        let found = self.0.attrs.iter().find(|(had, _)| had.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values.as_slice())
    }

    fn server(&self, is_active_directory: bool) -> String {
        match self.first("vendorName") {
            _ if is_active_directory => "Active Directory".to_owned(),
            Some(name) => [name, self.first("vendorVersion").unwrap_or_default()].join(" ").trim().to_owned(),
            None if self.has("objectClass", "OpenLDAProotDSE") => "OpenLDAP".to_owned(),
            None => "an LDAP server".to_owned(),
        }
    }
}

async fn read_root(session: &mut Session) -> Result<Root, Error> {
    let wanted = [
        "supportedExtension",
        "supportedCapabilities",
        "defaultNamingContext",
        "vendorName",
        "vendorVersion",
        "objectClass",
    ];
    let mut found = search(session, "", Scope::Base, ANYTHING, &wanted).await?;
    found
        .pop()
        .map(Root)
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "the server does not describe itself"))
}

/// Returns the entries found; empty if there are none or the server hides them.
async fn search(
    session: &mut Session,
    base: &str,
    scope: Scope,
    filter: &str,
    attributes: &[&str],
) -> Result<Vec<SearchEntry>, Error> {
    let found = session.search(base, scope, filter, attributes).await.map_err(session::lost)?;
    match found.1.rc {
        0 => {
            let entries = found.0.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
            Ok(entries.map(SearchEntry::construct).collect())
        }
        NO_SUCH_OBJECT => Ok(Vec::new()),
        _ => Err(fault("read an entry", &found.1)),
    }
}

/// Returns the modifications that set `unicodePwd`. A user must name its current password; an administrator need not.
fn in_unicode(former: Option<&str>, password: &str) -> Vec<Mod<Vec<u8>>> {
    let name = || b"unicodePwd".to_vec();
    let value = |password: &str| {
        let quoted = Zeroizing::new(format!("\"{password}\""));
        HashSet::from([quoted.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()])
    };
    match former {
        Some(former) => vec![Mod::Delete(name(), value(former)), Mod::Add(name(), value(password))],
        None => vec![Mod::Replace(name(), value(password))],
    }
}

fn is_dn(user: &str) -> bool {
    user.contains('=')
}

/// Returns the reason if Active Directory refuses a login for something other than a wrong password. Trying other
/// passwords would not help.
fn why_refused(text: &str) -> Option<Error> {
    let code = text.split_once("data ")?.1.split([',', ' ']).next()?;
    let why = match code {
        "530" => "the account may not log in at this time",
        "531" => "the account may not log in from here",
        "532" => "the password has expired",
        "533" => "the account is disabled",
        "701" => "the account has expired",
        "773" => "the password must be changed first",
        "775" => "the account is locked",
        _ => return None,
    };
    Some(Error::new(ErrorKind::Denied, format!("Active Directory refuses the login: {why}")))
}

/// The error for an operation that the server refused. The server's texts do not quote passwords.
fn fault(what: &str, result: &LdapResult) -> Error {
    let LdapResult { rc, text, .. } = result;
    let comma = if text.is_empty() { "" } else { ", " };
    let said = format!("could not {what}: the directory answers {rc}{comma}{text}");
    // A directory reports only now what it would have refused at any time. Retrying with this version cannot succeed.
    let lasting = if what == CHANGE { ErrorKind::Rejected } else { ErrorKind::Denied };
    let of = |kind| Error::new(kind, said.clone());
    match *rc {
        REFERRAL => of(lasting).and(
            "it refers to another server, and passwords are not sent to servers that the secret does not name: set that server as the secret's \"host\"",
        ),
        CONFIDENTIALITY_REQUIRED | STRONGER_AUTH_REQUIRED => of(lasting).and("it requires TLS"),
        CONSTRAINT_VIOLATION | UNWILLING | INSUFFICIENT_ACCESS | NO_SUCH_OBJECT => of(lasting),
        _ => of(ErrorKind::Unavailable),
    }
}

const CHANGE: &str = "change the password";
const ANYTHING: &str = "(objectClass=*)";
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

// Result codes of RFC 4511.
const STRONGER_AUTH_REQUIRED: u32 = 8;
const REFERRAL: u32 = 10;
const CONFIDENTIALITY_REQUIRED: u32 = 13;
const CONSTRAINT_VIOLATION: u32 = 19;
const NO_SUCH_OBJECT: u32 = 32;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
const INVALID_CREDENTIALS: u32 = 49;
const INSUFFICIENT_ACCESS: u32 = 50;
const UNWILLING: u32 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_active_directory_says_of_an_account_is_no_wrong_password() {
        let text = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {data}, v4563"
            )
        };
        assert!(why_refused(&text("52e")).is_none());
        assert!(why_refused("").is_none());
        let error = why_refused(&text("775")).unwrap();
        assert!(error.kind() == ErrorKind::Denied && error.message().contains("locked"), "{error}");
    }

    #[test]
    fn a_password_for_active_directory_stands_in_quotes_and_in_utf_16() {
        let value = b"\"\0p\0\xfc\0\"\0".to_vec();
        match &in_unicode(None, "pü")[..] {
            [Mod::Replace(name, values)] => {
                assert_eq!((name.as_slice(), values), (&b"unicodePwd"[..], &HashSet::from([value.clone()])));
            }
            _ => panic!("an administrator replaces"),
        }
        match &in_unicode(Some("old"), "pü")[..] {
            [Mod::Delete(_, former), Mod::Add(_, new)] => {
                assert!(!former.contains(&value) && new.contains(&value));
            }
            _ => panic!("a user names the former one"),
        }
    }
}
