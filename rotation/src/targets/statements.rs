//! Resources that use PostgreSQL's or MySQL's protocol with different SQL. The operator writes the statements.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use serde::Deserialize;
use tokio_postgres::error::SqlState;
use zeroize::Zeroizing;

use super::api_key::description::place;
use super::derived::Derived;
use super::{MySql, Postgres, Route, STATEMENT_TIMEOUT, Tls, check_credential, within};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::resource::StrategyName;
use crate::store::BoxFuture;
use crate::target::{Accounts, Applied, Change, Probe, Target};

mod accounts;
mod quiet;
mod template;

use accounts::AccountTemplates;
use template::{Scope, Template, Values};

/// A target whose statements the operator writes.
///
/// A statement's parameters are written `{field:type}`, where the field is one of the secret's. The type determines how
/// the value is quoted. A parameter without a type is rejected when the description is parsed; so is one where quoting
/// would not be safe: inside quotes, in a comment, or directly next to other text.
///
/// | type | what the statement gets | protocol |
/// |---|---|---|
/// | `identifier` | a quoted name | both |
/// | `literal` | a quoted string. For a password, the password itself, sent only if the server does not log it | both |
/// | `scram` | the password's SCRAM-SHA-256 verifier, as a string | `postgres` |
/// | `md5` | the password's MD5 hash as PostgreSQL stores it, as a string | `postgres` |
/// | `native` | the password's hash as `mysql_native_password` stores it, as a string | `mysql` |
/// | `sha256` | the password's SHA-256 in hexadecimal, as a string | both |
/// | `redshift` | the password's salted SHA-256 as Amazon Redshift stores it, as a string | `postgres` |
///
/// `{login.field:type}` takes its value from the credential that is logged in. In `keep`, `{keep.field:type}` takes it
/// from the credential that must stay valid. Statements must be safe to run again. With `postgres`, the statements of a
/// list run in one transaction; with `mysql`, one after the other. With `mysql`, an administrator's session has no
/// default database, because the secret could name any: write the schema of everything that the statements use.
///
/// ```
/// use secretcache_rotation::targets::{Statements, Tls};
///
/// let redshift = Statements::from_toml(
///     r#"
///     protocol = "postgres"
///     apply = ["ALTER USER {username:identifier} PASSWORD {password:redshift}"]
///     probe = ["SELECT 1"]             # runs after the login, if that alone proves too little
///     "#,
///     Tls::system()?,
/// )?;
/// let proxy = Statements::from_toml(
///     r#"
///     protocol = "mysql"
///     apply = ["ALTER USER {username:identifier}@'%' IDENTIFIED BY {password:literal}"]
///     "#,
///     Tls::system()?,
/// )?;
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Statements {
    driver: Driver,
    probe: Vec<Template>,
    apply: Vec<Template>,
    keep: Vec<Template>,
    accounts: Option<AccountTemplates>,
    derived: Derived,
}

#[derive(Clone, Debug)]
enum Driver {
    Postgres(Postgres),
    MySql(MySql),
}

/// Who logs in to run statements.
#[derive(Clone, Copy)]
enum Login<'a> {
    /// The user whose secret rotates. Its session is in the secret's database.
    Own(&'a Document),
    /// An administrator. With `mysql`, its session has no default database.
    Administrator(&'a Document),
}

/// The protocol that the server uses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Postgres,
    MySql,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    protocol: Protocol,
    /// The strategy to use unless the caller chooses one.
    strategy: Option<String>,
    #[serde(default)]
    probe: Vec<String>,
    apply: Vec<String>,
    #[serde(default)]
    keep: Vec<String>,
    accounts: Option<accounts::Description>,
    #[serde(default)]
    derived: Derived,
}

/// The longest user name that any server accepts.
const LONGEST_NAME: usize = 255;

impl Statements {
    /// Creates a target from its description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], with the statement and what is wrong with it.
    pub fn from_toml(text: &str, tls: Tls) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::Misconfigured, format!("the description of the statements {what}"))
        };
        let description: Description = toml::from_str(text)
            .map_err(|error| wrong(&format!("cannot be parsed: {}", place(text, &error))))?;
        if description.apply.is_empty() {
            return Err(wrong("has none in \"apply\" to change the password"));
        }
        if let Some(strategy) = &description.strategy
            && StrategyName::from_name(strategy).is_none_or(|name| name == StrategyName::ApiKey)
        {
            return Err(wrong("has a strategy other than single-user, alternating-users and dual-password"));
        }
        let templates = |texts: &[String], scope| {
            let parse = |text: &String| Template::parse(text, description.protocol, scope);
            texts.iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            probe: templates(&description.probe, Scope::Change)?,
            apply: templates(&description.apply, Scope::Change)?,
            keep: templates(&description.keep, Scope::Keep)?,
            accounts: description
                .accounts
                .map(|accounts| accounts.parse(description.protocol))
                .transpose()?,
            derived: description.derived,
            driver: match description.protocol {
                Protocol::Postgres => Driver::Postgres(Postgres::new(tls)),
                Protocol::MySql => Driver::MySql(MySql::new(tls)),
            },
        })
    }

    /// Returns this target with another route to its servers.
    #[must_use]
    pub fn via(self, route: Arc<dyn Route>) -> Self {
        let driver = match self.driver {
            Driver::Postgres(postgres) => Driver::Postgres(postgres.via(route)),
            Driver::MySql(mysql) => Driver::MySql(mysql.via(route)),
        };
        Self { driver, ..self }
    }

    /// Logs in and runs statements; `None` if the login is refused. Statements that show a secret value are kept out of
    /// the server's log; if that is not possible, they are not sent.
    async fn run(
        &self,
        login: Login<'_>,
        what: &str,
        templates: &[Template],
        values: &Values<'_>,
    ) -> Result<Option<()>, Error> {
        let statements =
            templates.iter().map(|template| template.fill(values)).collect::<Result<Vec<_>, _>>()?;
        let shows_secret = templates.iter().any(Template::shows_secret);
        match &self.driver {
            Driver::Postgres(postgres) => {
                let (Login::Own(document) | Login::Administrator(document)) = login;
                let Some(client) = postgres.login_for_statements(document).await? else { return Ok(None) };
                if shows_secret {
                    quiet::at_postgres(&client).await?;
                }
                within(STATEMENT_TIMEOUT, what, async {
                    let statements: Vec<_> = statements.iter().map(|text| text.as_str()).collect();
                    client
                        .batch_execute(&Zeroizing::new(statements.join(";")))
                        .await
                        .map_err(|error| of_postgres(what, error))
                })
                .await?;
            }
            Driver::MySql(mysql) => {
                let opened = match login {
                    Login::Own(document) => mysql.login(document).await?,
                    Login::Administrator(document) => mysql.login_for_statements(document).await?,
                };
                let Some(mut connection) = opened else { return Ok(None) };
                if shows_secret {
                    quiet::at_mysql(&mut connection).await?;
                }
                within(STATEMENT_TIMEOUT, what, async {
                    for statement in statements {
                        let done = connection.query_drop(statement.as_str()).await;
                        done.map_err(|error| of_mysql(what, error))?;
                    }
                    Ok(())
                })
                .await?;
                drop(connection.disconnect().await);
            }
        }
        Ok(Some(()))
    }
}

impl Target for Statements {
    fn has_dual_passwords(&self) -> bool {
        !self.keep.is_empty()
    }

    fn accepts(&self, credential: &Document) -> Result<(), Error> {
        check_credential(credential, LONGEST_NAME)?;
        credential.require("host")?;
        let values = Values { keep: Some(credential), ..Values::of(credential, credential) };
        for template in [&self.probe, &self.apply, &self.keep].into_iter().flatten() {
            template.fill(&values)?;
        }
        Ok(())
    }

    fn derive(&self, credential: Document) -> Result<Document, Error> {
        self.derived.fill_in(&credential)
    }

    fn verify(&self, credential: &Document) -> Result<(), Error> {
        self.derived.verify(credential)
    }

    fn accounts(&self) -> Option<&dyn Accounts> {
        self.accounts.is_some().then_some(self)
    }

    fn probe<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<Probe, Error>> {
        Box::pin(async move {
            let values = Values::of(credential, credential);
            let login = Login::Own(credential);
            let answer = self.run(login, "test the credential", &self.probe, &values).await?;
            Ok(if answer.is_some() { Probe::Accepted } else { Probe::Refused })
        })
    }

    fn apply<'a>(&'a self, change: Change<'a>) -> BoxFuture<'a, Result<Applied, Error>> {
        Box::pin(async move {
            let Change { login, credential, keep } = change;
            let templates = if keep.is_some() { &self.keep } else { &self.apply };
            let values = Values { keep, ..Values::of(credential, login) };
            // A user with the administrator's name is the administrator, and has the secret's password afterwards.
            let login = match *login.username()? == *credential.username()? {
                true => Login::Own(login),
                false => Login::Administrator(login),
            };
            let answer = self.run(login, "change the password", templates, &values).await?;
            Ok(if answer.is_some() { Applied::Done } else { Applied::LoginRefused })
        })
    }
}

/// The error for a statement that the server refuses. It contains only the server's code: the message could quote the
/// statement, and so a password.
fn refused(kind: ErrorKind, what: &str, code: &str) -> Error {
    Error::new(
        kind,
        format!(
            "could not {what}: the server refuses the statement with the code {code}; see its log for the reason"
        ),
    )
}

fn of_postgres(what: &str, error: tokio_postgres::Error) -> Error {
    let Some(code) = error.code() else {
        return Error::new(ErrorKind::Unavailable, format!("could not {what}")).with_source(error);
    };
    let kind = match code {
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => ErrorKind::Denied,
        code if *code == SqlState::INVALID_PARAMETER_VALUE => ErrorKind::Rejected,
        code if code.code().starts_with("42") => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    };
    refused(kind, what, code.code())
}

fn of_mysql(what: &str, error: mysql_async::Error) -> Error {
    let mysql_async::Error::Server(answer) = error else {
        return Error::new(ErrorKind::Unavailable, format!("could not {what}")).with_source(error);
    };
    let error = refused(super::mysql::kind(answer.code), what, &answer.code.to_string());
    match answer.code {
        NO_DATABASE => error.and(
            "an administrator's session has no default database: write the schema of everything that the statements use",
        ),
        _ => error,
    }
}

/// No database is selected.
const NO_DATABASE: u16 = 1046;
