//! What a check finds, and how bad it is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::snapshot::Secret;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// A layer of defence is missing.
    Low,
    /// More is open than needs to be, or something will break.
    Medium,
    /// A secret is open to those who should not read it, or something is broken.
    High,
    /// A secret is open to strangers, or about to be lost.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.to_string() == text)
            .ok_or_else(|| format!("unknown severity {text:?}; use info, low, medium, high or critical"))
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Finding {
    /// The check's id, such as `key.default`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The secret's name; none for what concerns all secrets of the account.
    pub secret: Option<String>,
    /// What has the fault: an ARN or a name.
    pub resource: String,
    /// What was seen there.
    pub seen: String,
    /// Commands that fix it, to be run as they are.
    pub run: Vec<String>,
    /// What to do where no command is the answer.
    pub advice: Option<String>,
}

/// Collects findings for one check after another.
#[derive(Debug, Default)]
pub(crate) struct Findings<'a> {
    /// The check that is made now: its id and its severity.
    pub(crate) check: (&'static str, Severity),
    /// The secret that it looks at, if it looks at one.
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) all: Vec<Finding>,
    /// What could not be told, by check: the permission that would tell, and why.
    pub(crate) not_known: BTreeSet<(&'static str, &'static str, String)>,
}

impl Findings<'_> {
    /// Something that the snapshot does not tell.
    pub(crate) fn not_known(&mut self, permission: &'static str, reason: impl Into<String>) {
        self.not_known.insert((self.check.0, permission, reason.into()));
    }

    /// Something about a resource.
    pub(crate) fn add(&mut self, resource: impl Into<String>, seen: impl Into<String>) -> &mut Finding {
        self.all.push(Finding {
            check: self.check.0,
            severity: self.check.1,
            secret: self.secret.map(|secret| secret.name.clone()),
            resource: resource.into(),
            seen: seen.into(),
            run: Vec::new(),
            advice: None,
        });
        self.all.last_mut().expect("just added")
    }
}

impl Finding {
    /// A command that fixes it.
    pub(crate) fn run(&mut self, command: impl Into<String>) -> &mut Self {
        self.run.push(command.into());
        self
    }

    /// What to do.
    pub(crate) fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }
}
