//! Bulk rotation: the file that lists secrets, and which of them are due.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::details::{Details, Rules};
use crate::error::{Error, ErrorKind};

/// A file that lists secrets with their schedules.
///
/// ```
/// use secretcache_rotation::operate::Inventory;
///
/// let inventory = Inventory::from_toml(
///     r#"
///     [run]
///     concurrency = 4                    # secrets to rotate at a time
///     stop_after = 3                     # failures, after which no further secret is started
///
///     [defaults]                         # for secrets that do not set these
///     schedule = "rate(30 days)"
///     strategy = "single-user"
///     password = { length = 40, exclude_punctuation = true }
///
///     [[secret]]
///     id = "prod/checkout/db"
///
///     [[secret]]
///     id = "prod/ledger/db"
///     strategy = "alternating-users"
///     master_secret = "prod/ledger/admin"
///     schedule = "cron(0 3 ? * SUN *)"
///     duration = "2h"
///     "#,
/// )?;
/// assert_eq!(inventory.entries[1].strategy.as_deref(), Some("alternating-users"));
/// assert_eq!(inventory.entries[1].password.length, Some(40));
/// # Ok::<(), secretcache_rotation::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inventory {
    /// How many secrets to rotate at a time; at least 1.
    pub concurrency: usize,
    /// The number of failures after which no further secret is started; at least 1. `None` means never stop.
    pub stop_after: Option<usize>,
    /// The secrets, with the defaults filled in.
    pub entries: Vec<Entry>,
}

/// A secret in an [`Inventory`]. What is not set here is inferred from the secret, as with `secretcache rotate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Entry {
    /// The secret's name or ARN.
    #[serde(default)]
    pub id: String,
    /// `rate(…)` or `cron(…)`. Defaults to the schedule set at the service.
    pub schedule: Option<String>,
    /// How long a window stays open, such as `2h`. If set, a missed window is skipped.
    pub duration: Option<String>,
    /// The strategy's name.
    pub strategy: Option<String>,
    /// The engine, for a secret without one.
    pub engine: Option<String>,
    /// The secret with the administrator's credential.
    pub master_secret: Option<String>,
    /// The server where the administrator logs in, as `HOST` or `HOST:PORT`. Defaults to the one in the master secret.
    pub master_host: Option<String>,
    /// The two users that alternate.
    pub users: Option<[String; 2]>,
    /// A file of PEM certificates to trust.
    pub ca_file: Option<String>,
    /// `false` turns TLS off.
    pub tls: Option<bool>,
    /// `iam`, or a file that describes a provider of keys.
    pub provider: Option<String>,
    /// A file with custom statements, for an engine that is not built in.
    pub statements: Option<String>,
    /// The policy for generated passwords.
    #[serde(default)]
    pub password: PasswordRules,
}

/// The policy for generated passwords: the variables of AWS's templates, in lower case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named and explained by PasswordPolicy")]
pub struct PasswordRules {
    pub length: Option<u32>,
    pub exclude_characters: Option<String>,
    pub exclude_numbers: Option<bool>,
    pub exclude_punctuation: Option<bool>,
    pub exclude_uppercase: Option<bool>,
    pub exclude_lowercase: Option<bool>,
    pub require_each_included_type: Option<bool>,
}

impl PasswordRules {
    /// Returns the value of one of the variables of AWS's templates.
    pub fn variable(&self, name: &str) -> Option<String> {
        let flag = |value: Option<bool>| value.map(|value| value.to_string());
        match name {
            "PASSWORD_LENGTH" => self.length.map(|length| length.to_string()),
            "EXCLUDE_CHARACTERS" => self.exclude_characters.clone(),
            "EXCLUDE_NUMBERS" => flag(self.exclude_numbers),
            "EXCLUDE_PUNCTUATION" => flag(self.exclude_punctuation),
            "EXCLUDE_UPPERCASE" => flag(self.exclude_uppercase),
            "EXCLUDE_LOWERCASE" => flag(self.exclude_lowercase),
            "REQUIRE_EACH_INCLUDED_TYPE" => flag(self.require_each_included_type),
            _ => None,
        }
    }
}

/// Fills in fields that are not set.
macro_rules! or {
    ($own:expr, $default:expr, $($field:ident),*) => { $( $own.$field = $own.$field.take().or_else(|| $default.$field.clone()); )* };
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    run: Run,
    #[serde(default)]
    defaults: Entry,
    #[serde(default)]
    secret: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    concurrency: Option<usize>,
    stop_after: Option<usize>,
}

impl Inventory {
    /// Parses a file's text, and checks the schedules.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`], naming the position or the secret.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::new(ErrorKind::Misconfigured, what);
        let File { run, defaults, secret: mut entries } =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        if !defaults.id.is_empty() {
            return Err(wrong("[defaults] cannot have an id".into()));
        }
        if entries.is_empty() {
            return Err(wrong(
                "the file lists no secret; start each with [[secret]] and give it an id".into(),
            ));
        }
        let mut known = BTreeSet::new();
        for entry in &mut entries {
            if entry.id.is_empty() {
                return Err(wrong("a [[secret]] has no id; set it to the secret's name or ARN".into()));
            }
            if !known.insert(entry.id.clone()) {
                return Err(wrong(format!("the secret {:?} is listed twice", entry.id)));
            }
            // A duration only makes sense with the schedule it was written for.
            if entry.schedule.is_none() {
                or!(entry, defaults, schedule, duration);
            }
            or!(entry, defaults, strategy, engine, master_secret, master_host, users, provider, statements);
            if entry.ca_file.is_none() && entry.tls.is_none() {
                or!(entry, defaults, ca_file, tls);
            }
            or!(
                entry.password,
                defaults.password,
                length,
                exclude_characters,
                exclude_numbers,
                exclude_punctuation,
                exclude_uppercase,
                exclude_lowercase,
                require_each_included_type
            );
            let of = |error: Error| wrong(format!("{}: {}", entry.id, error.message()));
            entry.rules().schedule().map_err(of)?;
            if entry.schedule.is_none() && entry.duration.is_some() {
                return Err(wrong(format!("{}: a duration needs a schedule", entry.id)));
            }
            if entry.ca_file.is_some() && entry.tls == Some(false) {
                return Err(wrong(format!("{}: ca_file has no effect with tls = false", entry.id)));
            }
        }
        let at_least_one = |name: &str, number: Option<usize>| match number {
            Some(0) => Err(wrong(format!("{name} must be 1 or more"))),
            number => Ok(number),
        };
        Ok(Self {
            concurrency: at_least_one("concurrency", run.concurrency)?.unwrap_or(1),
            stop_after: at_least_one("stop_after", run.stop_after)?,
            entries,
        })
    }
}

impl Entry {
    /// The schedule in the file.
    fn rules(&self) -> Rules {
        Rules { days: None, expression: self.schedule.clone(), duration: self.duration.clone() }
    }

    /// Returns whether the secret is due.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStaged`] if the secret is scheduled for deletion, and [`ErrorKind::Misconfigured`] if neither the
    /// file nor the service has a schedule, or the secret cannot be rotated from here.
    pub fn judge(&self, details: &Details, now: Timestamp) -> Result<Due, Error> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Misconfigured, what.to_owned()));
        details.check_readable()?;
        if let Some(service) = &details.managed_by {
            return wrong(&format!("the secret is managed by {service}, which rotates it"));
        }
        if details.under_way().is_some() {
            return Ok(Due::UnderWay);
        }
        let rules = if self.schedule.is_some() { self.rules() } else { details.rules.clone() };
        let Some(schedule) = rules.schedule()? else {
            return wrong("no schedule: add one to the file, or in Secrets Manager");
        };
        let Some(last) = details.last_turn() else {
            return wrong("Secrets Manager does not say when the secret was last changed");
        };
        let Some(window) = schedule.next_after(last, last) else { return Ok(Due::Never) };
        if window.opens > now {
            return Ok(Due::Later(window.opens));
        }
        if rules.duration.is_none() {
            return Ok(Due::Since(window.opens));
        }
        // The first window that has not closed yet.
        let length = window.closes.duration_since(window.opens);
        let before = now.checked_sub(length).unwrap_or(now).max(last);
        Ok(match schedule.next_after(before, last) {
            None => Due::Never,
            Some(open) if open.opens <= now => Due::Since(open.opens),
            Some(next) => Due::Missed { opened: window.opens, next: next.opens },
        })
    }
}

/// Whether a secret is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Due {
    /// A rotation is in progress, and has to be resumed.
    UnderWay,
    /// Due since this time.
    Since(Timestamp),
    /// Not due before this time.
    Later(Timestamp),
    /// It was due, but its window closed without a rotation.
    Missed {
        /// When the missed window opened.
        opened: Timestamp,
        /// When the next window opens.
        next: Timestamp,
    },
    /// The schedule matches no date.
    Never,
}

impl Due {
    /// Whether to rotate now.
    pub fn is_now(self) -> bool {
        matches!(self, Self::UnderWay | Self::Since(_))
    }

    /// Describes it in words.
    pub fn sentence(self, now: Timestamp) -> String {
        let ago = |since: Timestamp| age(now.duration_since(since));
        match self {
            Self::UnderWay => "a rotation is in progress".to_owned(),
            Self::Since(since) => format!("due since {since} ({})", ago(since)),
            Self::Later(at) => format!("not due before {at}"),
            Self::Missed { opened, next } => {
                format!("missed its window of {opened}; the next one opens at {next}")
            }
            Self::Never => "its schedule matches no date".to_owned(),
        }
    }
}

fn age(time: SignedDuration) -> String {
    match time.as_hours() {
        0 => format!("{} min", time.as_mins()),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests;
