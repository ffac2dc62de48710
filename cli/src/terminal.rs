//! What comes from a service, a file or a command line, made fit for a terminal. All that the command prints goes through
//! here, but for a secret's value and generated files, which are for programs as they are.

use std::io::{self, Write};

use serde::Serialize;

/// Prints text to standard output as it is, but for what controls a terminal.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(harmless(text).as_bytes())?;
    out.flush()
}

/// Prints a result for programs. Nothing is lost: JSON has escapes for what controls a terminal.
pub(crate) fn print_json(result: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", escaped(&serde_json::to_string_pretty(result)?))?;
    out.flush()
}

/// Tells something on standard error. Whoever closed that does not want to know.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", harmless(line));
}

/// Nobody gets to write over a terminal: what controls it, or turns the direction of text, is replaced. Lines stay.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if controls(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON in which such characters are escaped. They stand in strings alone: JSON has none elsewhere.
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

/// The same for a part of a line, such as a name: it gets no line of its own.
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
    fn programs_lose_nothing() {
        let name = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\né";
        let printed = escaped(&serde_json::to_string(name).unwrap());
        assert!(printed.chars().all(|c| !controls(c)), "{printed}");
        assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), name);
    }
}
