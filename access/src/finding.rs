//! The findings of checks, and their severity.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::snapshot::Secret;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// A layer of defense is missing.
    Low,
    /// More is open than necessary, or something will break.
    Medium,
    /// A secret is open to principals that should not read it, or something is broken.
    High,
    /// A secret is open to strangers, or about to be lost.
    Critical,
}

impl Severity {
    /// All severities, the least severe first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns the name, as options and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name() == text)
            .ok_or_else(|| format!("unknown severity {text:?}; use info, low, medium, high or critical"))
    }
}

/// A finding of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Finding {
    /// The check's id, such as `key.default`.
    pub check: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// The secret's name; `None` if the finding concerns all secrets of the account.
    pub secret: Option<String>,
    /// The ARN or name of the resource at fault.
    pub resource: String,
    /// The problem that was seen there.
    pub seen: String,
    /// Commands that fix it, ready to run.
    pub run: Vec<String>,
    /// Advice, if no command can fix it.
    pub advice: Option<String>,
}

/// Collects the findings of one check after another.
#[derive(Debug, Default)]
pub(crate) struct Findings<'a> {
    /// The id and the severity of the current check.
    pub(crate) check: (&'static str, Severity),
    /// The secret that the check examines, if it examines one.
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) all: Vec<Finding>,
    /// Questions left open: the check, the permission that would answer it, and the reason.
    pub(crate) not_known: BTreeSet<(&'static str, &'static str, String)>,
}

impl Findings<'_> {
    /// Records a question that the snapshot cannot answer.
    pub(crate) fn not_known(&mut self, permission: &'static str, reason: impl Into<String>) {
        self.not_known.insert((self.check.0, permission, reason.into()));
    }

    /// Adds a finding about a resource.
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
    /// Adds a command that fixes it.
    pub(crate) fn run(&mut self, command: impl Into<String>) -> &mut Self {
        self.run.push(command.into());
        self
    }

    /// Sets the advice.
    pub(crate) fn advise(&mut self, advice: impl Into<String>) -> &mut Self {
        self.advice = Some(advice.into());
        self
    }
}
