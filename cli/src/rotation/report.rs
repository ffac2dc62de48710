//! Prints results to standard output, and progress to standard error.

use std::io;

use secretcache_rotation::{Finding, Observer, Progress};
use serde::Serialize;

use crate::exit::option_for;
use crate::terminal;

/// Prints a result as JSON, or as lines for people.
pub(crate) fn print(json: bool, result: &impl Serialize, lines: &str) -> io::Result<()> {
    match lines.trim_end() {
        _ if json => terminal::print_json(result),
        "" => Ok(()),
        lines => terminal::print(&format!("{lines}\n")),
    }
}

pub(crate) use crate::terminal::tell as note;

/// Adds the option that addresses a problem, as to the message of a failure.
pub(crate) fn add_options(findings: &mut [Finding]) {
    for finding in findings {
        if let Some(option) = finding.kind.and_then(option_for) {
            finding.problem = format!("{}; {option}", finding.problem);
        }
    }
}

/// Formats problems, each with the statement that fixes it.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text += &format!("  - {}\n", finding.problem);
        if let Some(fix) = &finding.fix {
            text += &format!("    fix it with: {fix}\n");
        }
    }
    text
}

/// Prints the steps of a rotation as they run.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    pub(crate) id: &'a str,
}

impl Observer for Steps<'_> {
    fn notice(&self, progress: Progress<'_>) {
        let id = self.id;
        match progress {
            Progress::Found(rotation) => {
                let doing = if rotation.is_resumed { "resuming" } else { "rotating to" };
                note(&format!("{id}: {doing} version {}", rotation.token));
            }
            Progress::StepBegins(step) => note(&format!("{id}: {} ...", step.name())),
            Progress::StepFailed(step, error) => {
                note(&format!("{id}: {} failed: {}", step.name(), error.in_full()));
            }
            Progress::Retrying { attempt } => note(&format!("{id}: trying again, attempt {attempt}")),
            _ => {}
        }
    }
}
