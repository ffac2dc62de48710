//! What is checked. Each check has an id, a reason, a remedy and its counterparts in other tools; `docs/checks.md` is made
//! from this list.

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
    /// Its id, such as `key.default`.
    pub id: &'static str,
    /// The severity of what it finds, unless the finding says otherwise.
    pub severity: Severity,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// The permissions of the collector that it needs.
    pub needs: &'static [&'static str],
    /// What asserts the same elsewhere: tool and id.
    pub counterparts: &'static [&'static str],
    pub(crate) find: Find,
}

/// How a check looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Find {
    /// At each secret.
    Secret(fn(&Audit<'_>, &Secret, &mut Findings<'_>)),
    /// Once.
    Account(fn(&Audit<'_>, &mut Findings<'_>)),
}

/// What a check needs that asks where programs run.
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

/// How many days, in words.
fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// The check of an id.
pub fn check(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().flatten().find(|check| check.id == id)
}

/// `docs/checks.md`: what is said of all checks, then a section for each.
pub fn page() -> String {
    const INTRODUCTION: &str = include_str!("checks/introduction.md");
    let titles = ["Key", "Access", "Sharing", "Trail", "Alarms", "Network", "Rotation", "Content", "Use"];
    let mut page = INTRODUCTION.to_owned();
    for (title, checks) in titles.into_iter().zip(CHECKS) {
        page += &format!("## {title}\n\n");
        if title == "Access" {
            page += &format!("{}\n\n", access::ABOUT);
        }
        checks.iter().for_each(|check| page += &section(check));
    }
    page.trim_end().to_owned() + "\n"
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
