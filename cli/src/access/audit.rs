//! `secretcache audit`: checks how secrets are protected, and how to fix what is wrong.

use std::collections::BTreeSet;

use clap::{ArgGroup, Args, ValueEnum};
use secretcache_access::audit::{Report, Severity, audit};
use secretcache_access::checks::CHECKS;
use secretcache_access::collect::Selection;
use secretcache_access::snapshot::{NotCollected, Snapshot};

use super::obtain::{Extras, Files};
use super::{render, values};
use crate::exit::{EXIT_STATUSES, Exit, Failure};
use crate::rotation::note;
use crate::service::Service;
use crate::terminal::{print, print_json};
use crate::words::{any, offering};

/// Check how secrets are protected: key, access, trail, network, rotation and use, with the command that fixes each finding
///
/// Changes nothing. Lists what it could not check, and the missing permissions. Exits with status 1 if there was no secret to
/// check, or no check could be made, and with 5 if one of several IDs is wrong. Reads values and logs in only with --login.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_STATUSES}"))]
#[command(group = ArgGroup::new("which").required(true).args(["secret_ids", "prefix", "all"]))]
pub(crate) struct Audit {
    /// Names or ARNs of secrets
    #[arg(value_name = "ID")]
    secret_ids: Vec<String>,

    /// All secrets whose names start with this prefix
    #[arg(long, value_name = "P")]
    prefix: Option<String>,

    /// All secrets of the account in this Region
    #[arg(long)]
    all: bool,

    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Exit with status 4 if any shown finding is at least this severe: info, low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "low", hide_possible_values = true, value_parser = offering(severities, str::parse::<Severity>))]
    fail_on: Severity,

    /// Show findings that are at least this severe
    #[arg(long, value_name = "SEVERITY", default_value = "info", hide_possible_values = true, value_parser = offering(severities, str::parse::<Severity>))]
    min_severity: Severity,

    /// Run only these checks: ids such as key.default, or subjects such as key, access, trail or network
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', hide_possible_values = true, value_parser = offering(checks, any))]
    only: Vec<String>,

    /// Read each value and log in with it: finds credentials that fail, missing fields, the same credential in two secrets, and
    /// values in environment variables of functions. Values stay in memory
    #[arg(long, conflicts_with = "offline")]
    login: bool,

    /// Search this many days of CloudTrail's event history, 1 to 90: finds who reads AWSPREVIOUS or AWSPENDING. CloudTrail
    /// returns a hundred events a second
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=90), conflicts_with = "offline")]
    look_back: Option<u32>,

    /// Check which address the service's name resolves to on this machine; use this inside the VPC
    #[arg(long, conflicts_with = "offline")]
    from_inside: bool,

    /// Regions where replicas are allowed, separated by commas
    #[arg(long, value_name = "REGIONS", value_delimiter = ',', value_parser = region)]
    allowed_regions: Vec<String>,

    /// Role or user of a job that runs `secretcache rotate --due`; repeat for several. For secrets that it can rotate and no
    /// function does, the age of the current version counts, not whether rotation is on
    #[arg(long, value_name = "ARN", value_parser = role_or_user)]
    rotated_by: Vec<String>,

    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// A self-contained page without scripts
    Html,
}

impl Audit {
    /// Returns the first `--rotated-by` that does not exist. With a misspelled name, the rotating job would be taken
    /// for an application.
    fn unknown_job(&self, snapshot: &Snapshot) -> Option<&String> {
        let kind = |arn: &str| arn.contains(":user/");
        self.rotated_by.iter().find(|named| {
            let mut known = snapshot.principals.iter().filter(|it| kind(&it.arn) == kind(named)).peekable();
            known.peek().is_some() && known.all(|it| it.arn != **named)
        })
    }

    pub(crate) async fn run(&self) -> Result<Exit, Failure> {
        let is_known = |only: &&String| CHECKS.iter().copied().flatten().any(|check| is_of(only, check.id));
        if let Some(unknown) = self.only.iter().find(|only| !is_known(only)) {
            return Err(Failure::usage(format!("no check is called {unknown}; docs/checks.md lists them")));
        }
        let selection = match &self.prefix {
            Some(prefix) => Selection::Prefix(prefix.clone()),
            None if self.all => Selection::All,
            None => Selection::Ids(self.secret_ids.clone()),
        };
        let extras = Extras {
            look_back: self.look_back,
            from_inside: self.from_inside,
            allowed_regions: self.allowed_regions.clone(),
        };
        let mut obtained = self.files.obtain(selection, extras, &self.service).await?;
        if let Some(unknown) = self.unknown_job(&obtained.snapshot) {
            return Err(Failure::usage(format!(
                "--rotated-by {unknown}: account {} has no such role or user",
                obtained.snapshot.account
            )));
        }
        if self.login {
            values::add(&mut obtained, &self.service).await?;
        } else if !self.files.is_offline() {
            values::skip(&mut obtained.snapshot);
        }
        if self.look_back.is_none() && !self.files.is_offline() {
            obtained.snapshot.not_collected.push(NotCollected {
                permission: "cloudtrail:LookupEvents".to_owned(),
                resource: None,
                error: render::WITHOUT_LOOK_BACK.to_owned(),
            });
        }
        // No value is kept beyond this point.
        obtained.variables.clear();
        self.files.keep(&obtained.snapshot)?;
        // Taken from the command line only, never from a snapshot file.
        obtained.snapshot.rotated_by.clone_from(&self.rotated_by);
        let mut report = audit(&obtained.snapshot);
        if !self.only.is_empty() {
            let is_asked_for = |id: &str| self.only.iter().any(|only| is_of(only, id));
            report.findings.retain(|finding| is_asked_for(finding.check));
            report.not_checked.retain(|missing| is_asked_for(missing.check));
            report.checked.retain(|id| is_asked_for(id));
        }
        // A hidden finding does not count: the user could not see what failed.
        report.findings.retain(|finding| finding.severity >= self.min_severity);
        let fails = report.worst().is_some_and(|worst| worst >= self.fail_on);
        render::seen(match self.format {
            Format::Text => print(&render::text(&report)),
            Format::Json => print_json(&render::json(&report)?),
            Format::Sarif => print_json(&render::sarif(&report)),
            Format::Html => print(&render::html(&report)),
        })?;
        let nothing = render::nothing(&report);
        if let Some(nothing) = nothing {
            note(&format!("{nothing}{}", self.because(&report)));
        }
        obtained.missing.iter().for_each(|missing| note(missing));
        Ok(match nothing {
            // Findings about the account say nothing about the requested secrets.
            Some(_) => Exit::Failed,
            None if !obtained.missing.is_empty() => Exit::Partly,
            None if fails => Exit::Attention,
            None => Exit::Done,
        })
    }

    /// The reason why nothing was checked. Without it, the lack of findings would look like success.
    fn because(&self, report: &Report) -> String {
        let Report { account, region, .. } = report;
        match &self.prefix {
            _ if report.secrets > 0 => ": the lines \"not checked\" say why".to_owned(),
            Some(prefix) => {
                format!(": in account {account}, {region}, no secret's name starts with {prefix:?}")
            }
            None => format!(
                ": there are no secrets in account {account}, {region}; check the credentials and the Region"
            ),
        }
    }
}

/// Validates a Region. With a misspelled one, the audit would report every replica and print commands that remove it.
fn region(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_lowercase());
    let is_it = parts.split_last().is_some_and(|(number, words)| {
        words.len() >= 2 && words.iter().all(is_word) && number.parse::<u8>().is_ok()
    });
    is_it.then(|| text.to_owned()).ok_or_else(|| format!("{text:?} is not a Region, such as eu-central-1"))
}

fn role_or_user(text: &str) -> Result<String, String> {
    let is_it = matches!(text.split(':').collect::<Vec<_>>()[..], ["arn", _, "iam", "", account, name]
        if !account.is_empty() && (name.starts_with("role/") || name.starts_with("user/")));
    is_it.then(|| text.to_owned()).ok_or_else(|| {
        format!("{text:?} is not the ARN of a role or a user, such as arn:aws:iam::111122223333:role/rotate")
    })
}

/// Whether `only` names a check, by its id or by the subject before the dot.
fn is_of(only: &str, id: &str) -> bool {
    id == only || id.split_once('.').is_some_and(|(subject, _)| subject == only)
}

fn severities() -> Vec<&'static str> {
    Severity::ALL.map(Severity::name).to_vec()
}

/// The subjects, then the checks.
fn checks() -> Vec<&'static str> {
    let ids = || CHECKS.iter().copied().flatten().map(|check| check.id);
    let subjects: BTreeSet<_> = ids().filter_map(|id| Some(id.split_once('.')?.0)).collect();
    subjects.into_iter().chain(ids()).collect()
}

const EXAMPLES: &str = "\
Examples:
  secretcache audit prod/checkout/db
  secretcache audit --prefix prod/ --fail-on high
  secretcache audit --prefix prod/ --only trail,alarm
  secretcache audit --all --format sarif > secrets.sarif
  secretcache audit --all --save account.json
  secretcache audit --all --offline account.json --format html > audit.html";
