//! Alternating users, managed with the operator's statements.

use mysql_async::prelude::Queryable;
use serde::Deserialize;
use tokio_postgres::SimpleQueryMessage;

use super::template::{Scope, Template, Values};
use super::{Driver, Login, Protocol, Statements, of_mysql, of_postgres, quiet};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, UserStatus};
use crate::targets::{STATEMENT_TIMEOUT, within};

/// The section `[accounts]` of a description.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    exists: String,
    is_ours: Option<String>,
    create: Vec<String>,
    reconcile: Vec<String>,
    #[serde(default)]
    mark: Vec<String>,
    missing: String,
}

/// The section `[accounts]`, with its statements parsed.
#[derive(Clone, Debug)]
pub(super) struct AccountTemplates {
    exists: Template,
    is_ours: Option<Template>,
    create: Vec<Template>,
    reconcile: Vec<Template>,
    mark: Vec<Template>,
    missing: Template,
}

impl Description {
    pub(super) fn parse(&self, protocol: Protocol) -> Result<AccountTemplates, Error> {
        let one = |text: &String| Template::parse(text, protocol, Scope::Accounts);
        let all = |texts: &[String]| texts.iter().map(one).collect::<Result<Vec<_>, _>>();
        Ok(AccountTemplates {
            exists: one(&self.exists)?,
            is_ours: self.is_ours.as_ref().map(one).transpose()?,
            create: all(&self.create)?,
            reconcile: all(&self.reconcile)?,
            mark: all(&self.mark)?,
            missing: one(&self.missing)?,
        })
    }
}

impl Statements {
    fn templates(&self) -> Result<&AccountTemplates, Error> {
        let none =
            || Error::new(ErrorKind::Unsupported, "the description of the statements has no [accounts]");
        self.accounts.as_ref().ok_or_else(none)
    }

    /// Runs a query, and returns the first column of every row.
    async fn ask(
        &self,
        admin: &Document,
        question: &Template,
        values: &Values<'_>,
    ) -> Result<Vec<String>, Error> {
        const WHAT: &str = "query the users";
        let refused =
            || Error::new(ErrorKind::Unavailable, "the server refuses the administrator's credential");
        let (shows_secret, question) = (question.shows_secret(), question.fill(values)?);
        match &self.driver {
            Driver::Postgres(postgres) => {
                let client = postgres.login_for_statements(admin).await?.ok_or_else(refused)?;
                if shows_secret {
                    quiet::at_postgres(&client).await?;
                }
                within(STATEMENT_TIMEOUT, WHAT, async {
                    let answers =
                        client.simple_query(&question).await.map_err(|error| of_postgres(WHAT, error))?;
                    let row = |answer| match answer {
                        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                        _ => None,
                    };
                    Ok(answers.into_iter().filter_map(row).collect())
                })
                .await
            }
            Driver::MySql(mysql) => {
                let mut connection = mysql.login_for_statements(admin).await?.ok_or_else(refused)?;
                if shows_secret {
                    quiet::at_mysql(&mut connection).await?;
                }
                within(STATEMENT_TIMEOUT, WHAT, async {
                    let rows = connection.query::<mysql_async::Row, _>(question.as_str()).await;
                    let text = |row: mysql_async::Row| row.get_opt::<String, _>(0).and_then(Result::ok);
                    Ok(rows.map_err(|error| of_mysql(WHAT, error))?.into_iter().filter_map(text).collect())
                })
                .await
            }
        }
    }

    async fn change(
        &self,
        admin: &Document,
        what: &str,
        templates: &[Template],
        values: &Values<'_>,
    ) -> Result<(), Error> {
        if templates.is_empty() {
            return Ok(());
        }
        self.run(Login::Administrator(admin), what, templates, values).await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the server refuses the administrator's credential")
        })
    }
}

impl Accounts for Statements {
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>> {
        Box::pin(async move {
            let templates = self.templates()?;
            let values = Values { mark, ..Values::of(candidate, admin) };
            if self.ask(admin, &templates.exists, &values).await?.is_empty() {
                return Ok(UserStatus::Absent);
            }
            Ok(match &templates.is_ours {
                Some(question) if !self.ask(admin, question, &values).await?.is_empty() => UserStatus::Ours,
                _ => UserStatus::Foreign,
            })
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let templates = self.templates()?;
            let values = Values { reference: Some(reference), mark, ..Values::of(candidate, admin) };
            if self.ask(admin, &templates.exists, &values).await?.is_empty() {
                self.change(admin, "create the second user", &templates.create, &values).await?;
            }
            Ok(())
        })
    }

    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let templates = self.templates()?;
            let values = Values { reference: Some(reference), mark, ..Values::of(candidate, admin) };
            self.change(admin, "give the second user its privileges", &templates.reconcile, &values).await?;
            for user in [reference, candidate] {
                let values = Values { mark, ..Values::of(user, admin) };
                self.change(admin, "mark the users", &templates.mark, &values).await?;
            }
            Ok(())
        })
    }

    fn mark<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let templates = self.templates()?;
            if templates.mark.is_empty() {
                let text =
                    "the description of the statements has none in \"mark\"; declare both users instead";
                return Err(Error::new(ErrorKind::Unsupported, text));
            }
            let values = Values { mark, ..Values::of(candidate, admin) };
            self.change(admin, "mark the user", &templates.mark, &values).await
        })
    }

    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let values = Values { reference: Some(reference), ..Values::of(candidate, admin) };
            self.ask(admin, &self.templates()?.missing, &values).await
        })
    }
}
