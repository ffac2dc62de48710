//! A secret's status: its versions, who each one logs in as, and what is wrong, in one sentence.

use jiff::Timestamp;
use secretcache::{AWSCURRENT, AWSPENDING};
use serde::Serialize;

use crate::details::Details;
use crate::error::Error;
use crate::operate::context::{Content, Login, RotationContext, VersionReport};
use crate::operate::shell::quoted;
use crate::store::{SecretState, VersionState};

/// The status of a secret.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Inspection {
    /// The ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// The name.
    pub name: String,
    /// Whether rotation is enabled at the service.
    pub rotation_enabled: bool,
    /// The rotation schedule set at the service.
    pub schedule: Option<String>,
    /// When a rotation last succeeded, as RFC 3339.
    pub last_rotated: Option<String>,
    /// When the service rotates it next, at the latest, as RFC 3339.
    pub next_rotation: Option<String>,
    /// The labelled versions, `AWSCURRENT` first.
    pub versions: Vec<VersionReport>,
    /// The accounts that share the name of the user in use, if there are several (MariaDB and MySQL). Each has its own
    /// password.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namesakes: Vec<String>,
    /// The conclusion.
    pub verdict: Verdict,
}

/// The conclusion of an inspection.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Verdict {
    /// The secret's health.
    pub health: Health,
    /// The conclusion in one sentence.
    pub sentence: String,
    /// The command to run, if action is needed.
    pub remedy: Option<String>,
}

/// A secret's health, in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Health {
    /// `AWSCURRENT` works, and no rotation is in progress.
    Good,
    /// `AWSCURRENT` works, and a rotation is in progress.
    Rotating,
    /// `AWSCURRENT` works, but something else needs action.
    Ailing,
    /// `AWSCURRENT` does not work.
    Broken,
    /// Unknown: no login was tried, or none could be.
    Unknown,
}

/// The outcome of a rotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Outcome {
    /// The version is, or has been, current.
    Succeeded,
    /// The version lost `AWSPENDING` without becoming current.
    Failed,
    /// The version is still `AWSPENDING`.
    Pending,
}

impl Outcome {
    /// Returns the outcome of the rotation that made a version.
    pub fn of(version_id: &str, state: &SecretState) -> Self {
        match state.version(version_id) {
            // A version that is `AWSPREVIOUS` was current, so its rotation succeeded too.
            Some(version) if version.has(AWSCURRENT) || version.has(secretcache::AWSPREVIOUS) => {
                Self::Succeeded
            }
            Some(version) if version.has(AWSPENDING) => Self::Pending,
            _ => Self::Failed,
        }
    }
}

impl RotationContext<'_> {
    /// Inspects a secret. Tries to log in once with each labelled version, so an expired password counts as one failed
    /// login. [`Inspection::of_labels`] does not log in.
    ///
    /// # Errors
    ///
    /// Errors of the store, [`ErrorKind::Unencrypted`](crate::ErrorKind::Unencrypted) and
    /// [`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted). Other errors of the resource are part of the inspection.
    pub async fn inspect(&self, details: &Details, now: Timestamp) -> Result<Inspection, Error> {
        let mut versions: Vec<_> = details.state.versions.iter().collect();
        versions.sort_by_key(|version| rank(version));
        let (mut reports, mut namesakes) = (Vec::new(), Vec::new());
        for version in versions {
            let content = self.read(&version.id).await?;
            let login = self.login(&content).await?;
            if let (Content::Value(value), Login::Accepted, true) =
                (&content, &login, version.has(AWSCURRENT))
            {
                namesakes = self.namesakes(&value.document).await;
            }
            reports.push(self.report(version, &content, login));
        }
        Inspection::new(details, reports, namesakes, now)
    }
}

impl Inspection {
    /// Inspects a secret's labels only. `reason` says why no login could be tried; `None` if none was meant to be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`](crate::ErrorKind::Misconfigured) if the service's schedule cannot be parsed.
    pub fn of_labels(details: &Details, reason: Option<&str>, now: Timestamp) -> Result<Self, Error> {
        let mut versions: Vec<_> = details.state.versions.iter().collect();
        versions.sort_by_key(|version| rank(version));
        let login = reason.map_or(Login::NotTried, |reason| Login::Unusable(reason.to_owned()));
        let report = |version: &&VersionState| VersionReport {
            version_id: version.id.clone(),
            stages: version.stages.clone(),
            created: None,
            holder: None,
            login: login.clone(),
        };
        Self::new(details, versions.iter().map(report).collect(), Vec::new(), now)
    }

    fn new(
        details: &Details,
        versions: Vec<VersionReport>,
        namesakes: Vec<String>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Ok(Self {
            arn: details.state.arn.clone(),
            name: details.name.clone(),
            rotation_enabled: details.state.rotation_enabled == Some(true),
            schedule: details.rules.schedule()?.map(|schedule| schedule.to_string()),
            last_rotated: text(details.rotated),
            next_rotation: text(details.next_rotation),
            verdict: judge(details, &versions, &namesakes, now),
            versions,
            namesakes,
        })
    }
}

/// Sorts labelled versions: current, pending, previous.
fn rank(version: &VersionState) -> usize {
    [AWSCURRENT, AWSPENDING, secretcache::AWSPREVIOUS]
        .iter()
        .position(|stage| version.has(stage))
        .unwrap_or(usize::MAX)
}

/// Draws the conclusion from the labels and the logins.
fn judge(details: &Details, versions: &[VersionReport], namesakes: &[String], now: Timestamp) -> Verdict {
    let id = &quoted(&details.name);
    let verdict = |health, sentence: String| Verdict { health, sentence, remedy: None };
    let fixable =
        |health, sentence: String, remedy: String| Verdict { health, sentence, remedy: Some(remedy) };
    if let Err(deleted) = details.check_readable() {
        return fixable(Health::Broken, deleted.message().to_owned(), details.restore_command());
    }
    if details.state.is_replica {
        return verdict(Health::Unknown, "the secret is a replica; use its primary Region".into());
    }
    let Some(current) = versions.iter().find(|version| version.has(AWSCURRENT)) else {
        return verdict(
            Health::Broken,
            "the secret has no AWSCURRENT version: no value was ever stored".into(),
        );
    };
    let pending = versions.iter().find(|version| version.has(AWSPENDING) && !version.has(AWSCURRENT));
    let whom = current.holder.as_deref().unwrap_or("its user");
    let works = match current.login {
        Login::NotTried => "login with AWSCURRENT was not tried".to_owned(),
        _ => format!("AWSCURRENT logs in as {whom}"),
    };
    match &current.login {
        Login::Unreachable(reason) => {
            return verdict(Health::Unknown, format!("cannot tell whether AWSCURRENT logs in: {reason}"));
        }
        Login::NoValue => {
            let recover = format!("secretcache recover {id}");
            return fixable(Health::Broken, "the AWSCURRENT version has no value".into(), recover);
        }
        Login::Unusable(reason) => {
            let recover = format!("secretcache recover {id}");
            return fixable(Health::Broken, format!("AWSCURRENT is not a credential: {reason}"), recover);
        }
        Login::Refused => return refused(id, whom, pending, versions),
        Login::Accepted | Login::NotTried => {}
    }
    if !namesakes.is_empty() {
        return verdict(Health::Ailing, format!("{works}, and {}", of_namesakes(namesakes)));
    }
    let (resume, revert) =
        (format!("secretcache rotate {id} --resume"), format!("secretcache rotate {id} --revert"));
    if let Some(pending) = pending {
        let (sentence, remedy) = match &pending.login {
            Login::Accepted => {
                ("a rotation is in progress: AWSPENDING logs in too and may become current", resume)
            }
            Login::NoValue => (
                "a rotation has started, but its AWSPENDING version has no value yet; finish it with --resume or undo it with --revert",
                resume,
            ),
            Login::Unusable(_) => ("a rotation is stuck: its AWSPENDING version is not a credential", revert),
            Login::NotTried => {
                ("a rotation is in progress; finish it with --resume or undo it with --revert", resume)
            }
            _ => (
                "a rotation is in progress or has failed: the resource refuses AWSPENDING; finish it with --resume or undo it with --revert",
                resume,
            ),
        };
        return fixable(Health::Rotating, format!("{works}; {sentence}"), remedy);
    }
    if let Some(next) = details.next_rotation.filter(|next| *next < now)
        && details.state.rotation_enabled == Some(true)
    {
        return fixable(
            Health::Ailing,
            format!("{works}, but its rotation is overdue (was due by {next})"),
            format!("aws secretsmanager rotate-secret --secret-id {id}"),
        );
    }
    if current.login == Login::NotTried {
        return verdict(Health::Unknown, "the labels are in order (login not tried)".into());
    }
    verdict(Health::Good, format!("{works}, and no rotation is in progress"))
}

/// Says, as part of a sentence, that several accounts share one name.
pub(super) fn of_namesakes(accounts: &[String]) -> String {
    format!(
        "the server has several accounts with this name ({}), each with its own password, but the secret has only one password: drop all accounts but one",
        accounts.join(", ")
    )
}

/// Draws the conclusion when `AWSCURRENT` is refused: the remedy depends on which version still logs in.
fn refused(id: &str, whom: &str, pending: Option<&VersionReport>, versions: &[VersionReport]) -> Verdict {
    let (sentence, remedy) = match versions.iter().find(|version| version.login == Login::Accepted) {
        Some(version) if pending.is_some_and(|pending| pending.version_id == version.version_id) => (
            "AWSPENDING logs in: a rotation was interrupted".to_owned(),
            format!("secretcache rotate {id} --resume"),
        ),
        Some(version) => {
            let labels = version.stages.join(" ");
            (format!("{labels} logs in"), format!("secretcache recover {id}"))
        }
        None => (
            "no labelled version logs in; a version without a label may".to_owned(),
            format!("secretcache recover {id}"),
        ),
    };
    Verdict {
        health: Health::Broken,
        sentence: format!("the resource refuses AWSCURRENT (as {whom}), but {sentence}")
            .replace("but no", "and no"),
        remedy: Some(remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, stages: &[&str], login: Login) -> VersionReport {
        VersionReport {
            version_id: id.into(),
            stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
            created: None,
            holder: Some("app".into()),
            login,
        }
    }

    fn judged(versions: &[VersionReport], change: impl Fn(&mut Details)) -> Verdict {
        let mut details = Details { name: "db".into(), ..Details::default() };
        change(&mut details);
        judge(&details, versions, &[], "2026-11-23T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_still_works_decides_what_to_do() {
        let current = |login| version("c", &["AWSCURRENT"], login);
        let pending = |login| version("p", &["AWSPENDING"], login);
        let previous = |login| version("o", &["AWSPREVIOUS"], login);
        let none = |_: &mut Details| {};
        let cases = [
            (vec![current(Login::Accepted)], Health::Good, None),
            (vec![], Health::Broken, None),
            (vec![current(Login::Accepted), pending(Login::NoValue)], Health::Rotating, Some("--resume")),
            (
                vec![current(Login::Accepted), pending(Login::Unusable("x".into()))],
                Health::Rotating,
                Some("--revert"),
            ),
            (vec![current(Login::Refused), pending(Login::Accepted)], Health::Broken, Some("--resume")),
            (vec![current(Login::Refused), previous(Login::Accepted)], Health::Broken, Some("recover")),
            (vec![current(Login::Refused), pending(Login::Refused)], Health::Broken, Some("recover")),
            (vec![current(Login::Unusable("it is binary".into()))], Health::Broken, Some("recover")),
            (vec![current(Login::Unreachable("no route".into()))], Health::Unknown, None),
            (vec![version("c", &["AWSCURRENT", "AWSPENDING"], Login::Accepted)], Health::Good, None),
        ];
        for (versions, health, remedy) in cases {
            let verdict = judged(&versions, none);
            assert_eq!(verdict.health, health, "{verdict:?}");
            match (remedy, &verdict.remedy) {
                (None, None) => {}
                (Some(part), Some(text)) => assert!(text.contains(part), "{verdict:?}"),
                _ => panic!("{verdict:?}"),
            }
        }
    }

    #[test]
    fn a_rotation_that_the_service_owes_is_reported() {
        let versions = [version("c", &["AWSCURRENT"], Login::Accepted)];
        let overdue = |details: &mut Details| {
            details.next_rotation = Some("2026-11-22T00:00:00Z".parse().unwrap());
            details.state.rotation_enabled = Some(true);
        };
        assert_eq!(judged(&versions, overdue).health, Health::Ailing);
        let off = |details: &mut Details| {
            overdue(details);
            details.state.rotation_enabled = Some(false);
        };
        assert_eq!(judged(&versions, off).health, Health::Good);
    }

    #[test]
    fn a_rotation_ends_where_its_version_ends() {
        let state = |stages: &[&str]| SecretState {
            versions: vec![VersionState {
                id: "t".into(),
                stages: stages.iter().map(|stage| (*stage).to_owned()).collect(),
            }],
            ..SecretState::default()
        };
        assert_eq!(Outcome::of("t", &state(&["AWSPENDING"])), Outcome::Pending);
        assert_eq!(Outcome::of("t", &state(&["AWSCURRENT", "AWSPENDING"])), Outcome::Succeeded);
        assert_eq!(Outcome::of("t", &state(&["AWSPREVIOUS"])), Outcome::Succeeded);
        assert_eq!(Outcome::of("t", &state(&[])), Outcome::Failed);
        assert_eq!(Outcome::of("other", &state(&["AWSPENDING"])), Outcome::Failed);
    }
}
