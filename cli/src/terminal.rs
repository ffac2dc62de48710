//! What comes from a service, a file or a command line, made fit for a terminal.

/// Nobody gets to write over a terminal: what controls it, or turns the direction of text, is replaced. Lines stay.
pub(crate) fn harmless(text: &str) -> String {
    let controls = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if controls(c) { '\u{fffd}' } else { c }).collect()
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
}
