//! Suggests the command to run next. It can be run exactly as it is printed.

use std::env;

pub(crate) use secretcache_rotation::operate::quoted;
use secretcache_rotation::{ErrorKind, Finding};
use serde_json::json;

use crate::exit::{Exit, Failure};

/// Options that belong to one command, and whether they take a value. All other options say how to reach and rotate a
/// secret, and so apply to every command on it.
const OF_ONE_COMMAND: [(&str, bool); 17] = [
    ("dry-run", false),
    ("resume", false),
    ("revert", false),
    ("json", false),
    ("wait", false),
    ("no-login", false),
    ("keep-current", false),
    ("administrator", false),
    ("change-ownership", false),
    ("due", false),
    ("clients", true),
    ("version-id", true),
    ("timeout", true),
    ("attempts", true),
    ("prefix", true),
    ("check", true),
    ("config", true),
];

/// Flags that several commands share.
const FLAGS: [&str; 5] =
    ["no-tls", "exclude-numbers", "exclude-punctuation", "exclude-uppercase", "exclude-lowercase"];

/// The command line.
#[derive(Debug)]
pub(crate) struct Asked {
    words: Vec<String>,
}

impl Asked {
    /// Returns the command line of this process.
    pub(crate) fn of_process() -> Self {
        Self { words: env::args().collect() }
    }

    /// Whether the result is printed as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        let follows = |pair: &[String]| pair == ["--format", "json"];
        let is_audit = self.words.get(1).is_some_and(|word| word == "audit");
        let is_format =
            || self.words.windows(2).any(follows) || self.words.iter().any(|it| it == "--format=json");
        self.words.iter().any(|word| word == "--json") || is_audit && is_format()
    }

    /// Adds to a `secretcache` command the options that this one was given and that also apply to it.
    pub(crate) fn complete(&self, command: &str) -> String {
        if !command.starts_with("secretcache ") {
            return command.to_owned();
        }
        // A quoted name can look like an option, and must not take the place of one that was given.
        let unquoted: String = command.replace(r"'\''", "").split('\'').step_by(2).collect();
        let mut words = Vec::new();
        for (name, text) in self.options() {
            let is_own = OF_ONE_COMMAND.iter().any(|(own, _)| *own == name);
            if !is_own && !unquoted.contains(&format!(" --{name} ")) {
                words.push(text);
            }
        }
        if words.is_empty() { command.to_owned() } else { format!("{command} {}", words.join(" ")) }
    }

    /// Returns this command, to be run again.
    fn again(&self) -> String {
        let words: Vec<_> = self.words.iter().skip(1).map(|word| quoted(word)).collect();
        format!("secretcache {}", words.join(" "))
    }

    /// Returns the secret: the first word that is neither an option nor an option's value.
    fn secret(&self) -> Option<&str> {
        // The first word after these is no secret.
        let is_of_secret = |command: &String| !["local", "policy", "generate"].contains(&command.as_str());
        self.words.get(1).filter(|command| is_of_secret(command))?;
        let mut words = self.words.iter().skip(2);
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                None if ["-f", "-s"].contains(&word.as_str()) => drop(words.next()),
                None => return Some(word),
                Some(name) if takes_value(name) => drop(words.next()),
                Some(_) => {}
            }
        }
        None
    }

    /// Returns every option: its name, and its text with the value quoted for a shell.
    fn options(&self) -> Vec<(&str, String)> {
        let mut options = Vec::new();
        let mut words = self.words.iter().skip(2);
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else { continue };
            match name.split_once('=') {
                Some((name, _)) => options.push((name, quoted(word))),
                None if takes_value(name) => {
                    let value = words.next().map(|value| quoted(value)).unwrap_or_default();
                    options.push((name, format!("{word} {value}")));
                }
                None => options.push((name, word.clone())),
            }
        }
        options
    }

    /// Returns the command to run after a failure, if there is one.
    pub(crate) fn after(&self, failure: &Failure) -> Option<String> {
        if let Some(advice) = &failure.advice {
            return Some(self.complete(advice));
        }
        let kind = failure.kind?;
        if matches!(kind, ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::Abandoned) {
            return Some(self.again());
        }
        let id = quoted(self.secret()?);
        let command = self.words.get(1)?;
        Some(match kind {
            // A permission that the service denies here, it denies to every other command too.
            ErrorKind::Denied if failure.is_of_service => return None,
            ErrorKind::Refused if command != "recover" => self.complete(&format!("secretcache recover {id}")),
            ErrorKind::Denied
            | ErrorKind::Underprivileged
            | ErrorKind::NotOurs
            | ErrorKind::Rejected
            | ErrorKind::Unsupported
                if command == "rotate" && !self.words.iter().any(|word| word == "--dry-run") =>
            {
                self.complete(&format!("secretcache rotate {id} --dry-run"))
            }
            _ => return None,
        })
    }

    /// Completes the `secretcache` commands among the fixes.
    pub(crate) fn complete_fixes(&self, findings: &mut [Finding]) {
        for fix in findings.iter_mut().filter_map(|finding| finding.fix.as_mut()) {
            *fix = self.complete(fix);
        }
    }

    /// Returns the message of a failure, with the secret it is about.
    pub(crate) fn message(&self, failure: &Failure) -> String {
        let text = failure.to_string();
        let is_about_secret = failure.kind.is_some() && failure.exit != Exit::Usage;
        match self.secret().filter(|id| is_about_secret && !mentions(&text, id)) {
            Some(id) => format!("{id}: {text}"),
            None => text,
        }
    }

    /// Returns a failure as `--json` prints it.
    pub(crate) fn json(&self, failure: &Failure) -> serde_json::Value {
        let mut error = json!({ "status": failure.exit as u8, "message": self.message(failure) });
        if let Some(kind) = failure.kind {
            error["kind"] = format!("{kind:?}").into();
        } else if failure.exit == Exit::Usage {
            error["kind"] = "Usage".into();
        }
        if let Some(next) = self.after(failure) {
            error["run"] = next.into();
        }
        json!({ "error": error })
    }
}

/// Whether a text contains a name, and not only as part of another word.
fn mentions(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "/_+=@-".contains(c);
    text.match_indices(name).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + name.len()..]);
        !before.ends_with(is_of_name) && !after.starts_with(is_of_name)
    })
}

fn takes_value(name: &str) -> bool {
    match OF_ONE_COMMAND.iter().find(|(own, _)| *own == name) {
        _ if name.contains('=') => false,
        Some((_, takes_value)) => *takes_value,
        None => !FLAGS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Asked {
        Asked { words: line.split(' ').map(str::to_owned).collect() }
    }

    #[test]
    fn an_advised_command_reaches_the_secret_as_this_one_did() {
        let asked =
            asked("secretcache rotate --no-tls --ca-file=a.pem --strategy single-user db --json --resume");
        assert_eq!(asked.secret(), Some("db"));
        assert_eq!(
            asked.complete("secretcache recover db"),
            "secretcache recover db --no-tls --ca-file=a.pem --strategy single-user"
        );
        assert_eq!(
            asked.complete("secretcache rotate db --strategy dual-password --dry-run"),
            "secretcache rotate db --strategy dual-password --dry-run --no-tls --ca-file=a.pem"
        );
    }

    #[test]
    fn a_quoted_name_takes_the_place_of_no_option() {
        let asked = asked("secretcache rotate db --ca-file a.pem --dry-run");
        for name in ["app --ca-file x", "it's --ca-file x", "a\n' --ca-file x", r"\'' --ca-file x\"] {
            let command = format!("secretcache rotate db --users {}", quoted(name));
            assert_eq!(asked.complete(&command), format!("{command} --ca-file a.pem"));
        }
    }

    #[test]
    fn a_failure_names_its_secret_even_if_the_name_is_short() {
        assert!(
            mentions("secret db: not found", "db") && mentions("arn:aws:x:secret:db-AbCdEf", "db-AbCdEf")
        );
        assert!(!mentions("the database is gone", "a") && !mentions("prod/db: gone", "db"));
    }

    #[test]
    fn the_secret_is_no_value_of_an_option() {
        for line in
            ["get -f password db", "get --field password db", "get db -s AWSPENDING", "get -s A db --json"]
        {
            assert_eq!(asked(&format!("secretcache {line}")).secret(), Some("db"), "{line}");
        }
        for line in ["local export --data a", "policy app --secret db"] {
            assert_eq!(asked(&format!("secretcache {line}")).secret(), None, "{line}");
        }
    }
}
