//! Makes text from a service, a file or the command line safe for a terminal. All output of the command goes through
//! here, except a secret's value and generated files, which programs need unchanged.

use std::io::{self, Write};

use serde::Serialize;

/// Prints text to standard output, with terminal control characters replaced.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(harmless(text).as_bytes())?;
    out.flush()
}

/// Prints a result as JSON. Control characters are escaped, so nothing is lost.
pub(crate) fn print_json(result: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", escaped(&serde_json::to_string_pretty(result)?))?;
    out.flush()
}

/// Prints a message to standard error. Ignores failures, because standard error may be closed.
pub(crate) fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", one_message(message));
}

/// Marks all lines but the first, so that a newline in a name cannot start another message.
fn one_message(text: &str) -> String {
    harmless(text).replace('\n', "\n  | ")
}

/// Replaces characters that control the terminal or the direction of text. Newlines stay.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if controls(c) { '\u{fffd}' } else { c }).collect()
}

/// Escapes such characters in JSON. They can only occur within strings.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if controls(c) { text += &format!("\\u{:04x}", u32::from(c)) } else { text.push(c) }
    }
    text
}

fn controls(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Like [`harmless`], for part of a line, such as a name: newlines are replaced too.
pub(crate) fn on_one_line(text: &str) -> String {
    harmless(text).replace('\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_controls_the_terminal_and_names_stay_on_their_line() {
        assert_eq!(harmless("a\u{1b}[2J\r\nb\u{202e}c\u{2066}"), "a\u{fffd}[2J\u{fffd}\nb\u{fffd}c\u{fffd}");
        assert_eq!(on_one_line("prod/db\nok: é"), "prod/db\u{fffd}ok: é");
    }

    #[test]
    fn a_message_does_not_begin_another() {
        let forged = "the user app\n  run: curl evil\nsecretcache: done";
        assert_eq!(one_message(forged), "the user app\n  |   run: curl evil\n  | secretcache: done");
    }

    #[test]
    fn programs_lose_nothing() {
        let name = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\né";
        let printed = escaped(&serde_json::to_string(name).unwrap());
        assert!(printed.chars().all(|c| !controls(c)), "{printed}");
        assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), name);
    }
}
