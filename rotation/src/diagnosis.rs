//! Obstacles to a rotation, reported by the resource before anything changes.

use serde::Serialize;

use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// What a rotation will require of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Requirements<'a> {
    /// The credential that makes the changes: the administrator's, or the user's own.
    pub login: &'a Document,
    /// The credential in use.
    pub user: &'a Document,
    /// With alternating users, the user to prepare.
    pub other: Option<&'a Document>,
    /// Whether the old password stays valid beside the new one.
    pub keeps_former: bool,
}

impl<'a> Requirements<'a> {
    /// Makes the requirements for `login` to change the user's password, ending the old one.
    pub fn new(login: &'a Document, user: &'a Document) -> Self {
        Self { login, user, other: None, keeps_former: false }
    }

    /// Whether the user changes its own password.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "redis", feature = "ldap"))]
    pub(crate) fn is_own(&self) -> bool {
        let name = |document: &Document| document.field("username");
        self.other.is_none() && name(self.login) == name(self.user)
    }
}

/// What a resource reports about itself, and what has to be fixed there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The server's name and version, such as `PostgreSQL 16.2`; empty if unknown.
    pub server: String,
    /// Whether this server supports two passwords per user.
    pub dual_passwords: bool,
    /// Problems that block the rotation.
    pub findings: Vec<Finding>,
    /// Things that do not block it, but that the operator should know.
    pub warnings: Vec<String>,
}

/// Lists the first few names and how many more there are. `None` if there are none.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
pub(crate) fn some_of(names: &[String]) -> Option<String> {
    const MOST: usize = 5;
    let more = names.len().saturating_sub(MOST);
    let shown = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (names, more) {
        ([], _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    }
}

/// A problem that blocks a rotation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Finding {
    /// The problem, in one sentence.
    pub problem: String,
    /// The statement that fixes it, for someone with the privileges to run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The kind of the error that the problem was seen as, if it was an error.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
}

impl Finding {
    /// Makes a finding without a fix, for a person to decide.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: None, kind: None }
    }

    /// Adds the statement that fixes the problem.
    #[must_use]
    pub fn fixed_by(mut self, statement: impl Into<String>) -> Self {
        self.fix = Some(statement.into());
        self
    }
}

impl From<&Error> for Finding {
    fn from(error: &Error) -> Self {
        Self { kind: Some(error.kind()), ..Self::new(error.in_full()) }
    }
}
