//! The checks of `secretcache audit`. Each has an id, a reason, a fix and its counterparts in other tools.
//! `docs/checks.md` is generated from this list.

use crate::audited::{Audit, NARROWING};
use crate::finding::{Findings, Severity};
use crate::snapshot::Secret;

mod access;
mod alarm;
mod content;
mod key;
mod network;
mod rotation;
mod sharing;
mod trail;
mod usage;

/// One check.
#[derive(Debug)]
pub struct Check {
    /// The id, such as `key.default`.
    pub id: &'static str,
    /// The severity of its findings, unless a finding sets its own.
    pub severity: Severity,
    /// The fault that it reports, in a few words.
    pub title: &'static str,
    /// Why the fault matters.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// The permissions that collecting its data needs.
    pub needs: &'static [&'static str],
    /// Equivalent checks of other tools: tool and id.
    pub counterparts: &'static [&'static str],
    pub(crate) find: Find,
}

/// How often a check runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// Once for each secret.
    Secret(fn(&Audit<'_>, &Secret, &mut Findings<'_>)),
    /// Once for the account.
    Account(fn(&Audit<'_>, &mut Findings<'_>)),
}

/// The permissions of a check that needs to know where programs run: `others`, then [`NARROWING`].
const fn with_narrowing<const OTHERS: usize, const ALL: usize>(
    others: [&'static str; OTHERS],
) -> [&'static str; ALL] {
    let mut all = [""; ALL];
    let mut place = 0;
    while place < ALL {
        all[place] = if place < OTHERS { others[place] } else { NARROWING[place - OTHERS] };
        place += 1;
    }
    all
}

/// All checks, by subject.
pub const CHECKS: &[&[Check]] = &[
    key::CHECKS,
    access::CHECKS,
    sharing::CHECKS,
    trail::CHECKS,
    alarm::CHECKS,
    network::CHECKS,
    rotation::CHECKS,
    content::CHECKS,
    usage::CHECKS,
];

/// A number of days in words.
fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// Returns the check with an id.
pub fn check(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().flatten().find(|check| check.id == id)
}

/// Returns the text of `docs/checks.md`: the introduction, a section for each check, and the limits of all.
pub fn page() -> String {
    const INTRODUCTION: &str = include_str!("checks/introduction.md");
    const LIMITS: &str = include_str!("checks/limits.md");
    let titles = ["Key", "Access", "Sharing", "Trail", "Alarms", "Network", "Rotation", "Content", "Use"];
    let mut page = INTRODUCTION.to_owned();
    for (title, checks) in titles.into_iter().zip(CHECKS) {
        page += &format!("## {title}\n\n");
        if title == "Access" {
            page += &format!("{}\n\n", access::ABOUT);
        }
        checks.iter().for_each(|check| page += &section(check));
    }
    page + LIMITS
}

fn section(check: &Check) -> String {
    let counterparts = match check.counterparts {
        [] => "none that we know of".to_owned(),
        some => some.join("; "),
    };
    let needs: Vec<_> = check.needs.iter().map(|permission| format!("`{permission}`")).collect();
    let needs = if needs.is_empty() { "nothing".to_owned() } else { needs.join(", ") };
    format!(
        "### `{}`\n\n{} *({})*\n\n**Why.** {}\n\n**Fix.** {}\n\n**Needs** {needs}.\n\n**Elsewhere:** {counterparts}.\n\n",
        check.id, check.title, check.severity, check.why, check.fix
    )
}
