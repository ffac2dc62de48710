//! What stands in the way of a rotation, told by the resource before anything is changed.

use serde::Serialize;

use crate::document::Document;

/// What a rotation is going to ask of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Requirements<'a> {
    /// The credential that makes the changes: an administrator's, or that of the user itself.
    pub login: &'a Document,
    /// The credential in use.
    pub user: &'a Document,
    /// Of alternating users, the one to be prepared.
    pub other: Option<&'a Document>,
    /// Whether the former password is to stay valid beside the new one.
    pub keeps_former: bool,
}

impl<'a> Requirements<'a> {
    /// A change of the user's password, by `login`, that ends the former one.
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

/// What a resource tells of itself, and what has to be mended there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What the server is, such as `PostgreSQL 16.2`; empty if it does not say.
    pub server: String,
    /// Whether this server lets a user have two passwords at a time.
    pub dual_passwords: bool,
    /// What stands in the way.
    pub findings: Vec<Finding>,
    /// What is no obstacle but should be known.
    pub warnings: Vec<String>,
}

/// The first of several names, and how many more there are; nothing of none.
#[cfg(any(feature = "postgres", feature = "mysql"))]
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

/// One thing that stands in the way of a rotation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong, in one sentence.
    pub problem: String,
    /// The statement that mends it, to be run by somebody who may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    /// Something that is for a person to decide.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), mend: None }
    }

    /// The same, with the statement that mends it.
    #[must_use]
    pub fn mended_by(mut self, statement: impl Into<String>) -> Self {
        self.mend = Some(statement.into());
        self
    }
}
