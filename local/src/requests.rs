//! The log line of a request, for `--verbose`: time, caller, operation, secret, outcome, and why something was not
//! found.
//!
//! It contains no values: of a request's parameters, only the secret's id, the version and the label.

use serde::{Deserialize, Serialize};

use crate::arn::{Scope, SecretRef};
use crate::store::Store;
use crate::time::Timestamp;

/// A request and its outcome.
#[derive(Serialize)]
pub(crate) struct RequestLine<'a> {
    pub(crate) time: Timestamp,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) operation: &'a str,
    #[serde(flatten)]
    pub(crate) subject: Subject,
    pub(crate) outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// The secret and version that a request is about.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Subject {
    #[serde(alias = "SecretId", alias = "Name", default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_id: Option<String>,
    /// The secrets of a BatchGetSecretValue.
    #[serde(alias = "SecretIdList", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secret_ids: Vec<String>,
    #[serde(alias = "VersionId", default, skip_serializing_if = "Option::is_none")]
    pub(crate) version_id: Option<String>,
    #[serde(alias = "VersionStage", default, skip_serializing_if = "Option::is_none")]
    pub(crate) version_stage: Option<String>,
}

impl Subject {
    /// Reads the body of a request.
    pub(crate) fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

impl RequestLine<'_> {
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        let Self { time, account, region, operation, outcome, .. } = self;
        let mut line = format!("{time} {account} {region} ");
        line.extend(operation.escape_debug());
        let Subject { secret_id, secret_ids, version_id, version_stage } = &self.subject;
        for part in secret_id.iter().chain(secret_ids).chain(version_id).chain(version_stage) {
            line.push(' ');
            line.extend(part.escape_debug());
        }
        line.push(' ');
        line.push_str(outcome);
        if let Some(why) = &self.why {
            line.push_str(": ");
            line.extend(why.escape_debug());
        }
        line
    }
}

/// Returns why a caller in `scope` does not find a secret or version, if the store has an explanation.
pub(crate) fn why_missing(store: &Store, scope: &Scope, subject: &Subject, now: Timestamp) -> Option<String> {
    let id = subject.secret_id.as_deref()?;
    if let Ok((_, secret)) = store.find(scope, id, now) {
        let labels: Vec<_> =
            secret.versions.iter().flat_map(|version| &version.labels).map(String::as_str).collect();
        return Some(match labels.is_empty() {
            true => "the secret has no value yet".to_owned(),
            false => format!("the secret has {}", labels.join(", ")),
        });
    }
    let (wanted, name) = match SecretRef::parse(id)? {
        SecretRef::Name(name) => (scope.clone(), name),
        SecretRef::PartialArn { scope, name } => (scope, name),
        SecretRef::Arn { scope, resource } => {
            (scope, resource.rsplit_once('-').map_or(resource, |(name, _)| name))
        }
    };
    let (at, secret) = store.all().find(|(_, secret)| secret.name == name)?;
    Some(if *at == wanted && secret.is_gone(now) {
        "it was deleted, and its recovery window is over".to_owned()
    } else if *at == wanted {
        format!("the secret with this name has the ARN {}", secret.arn)
    } else if at.account == wanted.account {
        format!("there is one in the Region {}, not in {}", at.region, wanted.region)
    } else {
        format!(
            "there is one in the account {} (Region {}), not in {}",
            at.account, at.region, wanted.account
        )
    })
}
