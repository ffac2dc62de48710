//! What the commands print: results to standard output, progress to standard error.

use std::io::{self, Write};

use secretcache_rotation::{Finding, Observer, Progress};
use serde::Serialize;

use crate::exit::in_full;

/// Prints a result: as JSON, or as the lines a person reads.
pub(crate) fn print(json: bool, result: &impl Serialize, lines: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(result)?)?;
    } else if !lines.is_empty() {
        writeln!(out, "{}", lines.trim_end())?;
    }
    out.flush()
}

/// Tells something on the way. Whoever closed standard error does not want to know.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", crate::terminal::harmless(line));
}

/// What stands in the way, each with the statement that fixes it.
pub(crate) fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text += &format!("  - {}\n", finding.problem);
        if let Some(mend) = &finding.mend {
            text += &format!("    fix it with: {mend}\n");
        }
    }
    text
}

/// Prints the steps of a rotation as they go by.
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
                note(&format!("{id}: {} failed: {}", step.name(), in_full(error)));
            }
            Progress::Retrying { attempt } => note(&format!("{id}: trying again ({attempt})")),
            _ => {}
        }
    }
}
