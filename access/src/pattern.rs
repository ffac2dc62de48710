//! Wildcards: `*` for any characters, `?` for exactly one.

/// Encodes a `*` that is not a wildcard, because it came from a policy variable. `LITERAL_MARK` does the same for `?`.
const LITERAL_STAR: char = '\u{e000}';
const LITERAL_MARK: char = '\u{e001}';

/// Checks whether a pattern matches an entire text.
///
/// ```
/// use secretcache_access::pattern::matches;
///
/// assert!(matches("prod/db-??????", "prod/db-AbCdEf"));
/// assert!(!matches("prod/db-??????", "prod/db-other-AbCdEf"));
/// ```
pub fn matches(pattern: &str, text: &str) -> bool {
    // Most texts that do not match differ before the first wildcard, and a prefix comparison is fastest.
    let is_plain = |byte: u8| !matches!(byte, b'*' | b'?') && byte.is_ascii();
    let plain = pattern.bytes().position(|byte| !is_plain(byte)).unwrap_or(pattern.len());
    let (beginning, rest) = pattern.split_at(plain);
    text.strip_prefix(beginning).is_some_and(|text| glob(rest, text, |a, b| a == b))
}

/// Same as [`matches()`], ignoring case: for names of actions.
pub fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    glob(pattern, text, |a, b| a.eq_ignore_ascii_case(&b))
}

/// Checks whether a pattern can match some text with this beginning.
pub(crate) fn could_begin(pattern: &str, beginning: &str) -> bool {
    let mut pattern = pattern.chars();
    for character in beginning.chars() {
        match pattern.next() {
            // It can match whatever follows.
            Some('*') => return true,
            Some('?') => {}
            Some(wanted) if literal(wanted) == character => {}
            _ => return false,
        }
    }
    true
}

/// Checks whether a text contains wildcards.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Linear in both lengths for one `*`, and never worse than their product, because only the last `*` is retried.
fn glob(pattern: &str, text: &str, same: impl Fn(char, char) -> bool) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        match pattern.next() {
            Some('*') => {
                if pattern.as_str().is_empty() {
                    return true;
                }
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            wanted => {
                let found = text.next();
                match (wanted, found) {
                    (None, None) => return true,
                    (Some('?'), Some(_)) => continue,
                    (Some(wanted), Some(found)) if same(literal(wanted), found) => continue,
                    _ => {}
                }
            }
        }
        let Some((after_star, rest)) = &mut retry else { return false };
        if rest.next().is_none() {
            return false;
        }
        pattern = after_star.clone();
        text = rest.clone();
    }
}

fn literal(character: char) -> char {
    match character {
        LITERAL_STAR => '*',
        LITERAL_MARK => '?',
        other => other,
    }
}

/// Escapes a text so that it matches only itself within a pattern.
pub(crate) fn escape(text: &str) -> String {
    text.replace('*', &LITERAL_STAR.to_string()).replace('?', &LITERAL_MARK.to_string())
}

/// Converts a pattern to plain text, for operators without wildcards.
pub(crate) fn unescape(text: &str) -> String {
    text.chars().map(literal).collect()
}

/// Checks whether an ARN pattern matches an ARN, with each of the six parts compared separately, like the `Arn…`
/// condition operators.
pub(crate) fn matches_arn(pattern: &str, arn: &str) -> bool {
    let (pattern, arn): (Vec<_>, Vec<_>) = (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    // A pattern with fewer parts, such as `*`, applies to the whole ARN.
    if pattern.len() < 6 {
        return pattern.last().is_some_and(|last| last.ends_with('*'))
            && matches(&pattern.join(":"), &arn.join(":"));
    }
    arn.len() == 6 && pattern.iter().zip(&arn).all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_policies() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "aXbYbZc", true),
            ("*-??????", "prod/db-AbCdEf", true),
            ("db-*", "db-other-AbCdEf", true),
            ("???", "äöü", true),
            ("a**", "a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(matches_ignoring_case("secretsmanager:get*", "SecretsManager:GetSecretValue"));
        assert!(!matches_ignoring_case("secretsmanager:Put*", "secretsmanager:GetSecretValue"));
    }

    #[test]
    fn a_pattern_fits_the_beginning_of_a_text() {
        for (pattern, beginning, expected) in [
            ("AROAAPP:*", "AROAAPP:", true),
            ("*x", "abc", true),
            ("a*z", "ab", true),
            ("a?c", "ax", true),
            ("a?c", "axc", true),
            ("a?c", "axd", false),
            ("?b", "ab", true),
            ("ab", "", true),
            ("", "", true),
            ("ab", "abc", false),
            ("a?", "abc", false),
            ("b*", "a", false),
        ] {
            assert_eq!(could_begin(pattern, beginning), expected, "{pattern} {beginning}");
        }
        assert!(could_begin(&escape("*x"), "*") && !could_begin(&escape("*x"), "a"));
    }

    #[test]
    fn a_star_that_a_variable_brought_is_no_wildcard() {
        let pattern = format!("team/{}/x", escape("*"));
        assert!(matches(&pattern, "team/*/x"));
        assert!(!matches(&pattern, "team/a/x"));
    }

    #[test]
    fn parts_of_an_arn_match_by_themselves() {
        assert!(matches_arn("arn:aws:iam::*:role/app", "arn:aws:iam::111122223333:role/app"));
        assert!(!matches_arn("arn:aws:iam::*:app", "arn:aws:iam::1:role:app"));
        assert!(matches_arn("*", "arn:aws:iam::111122223333:role/app"));
        assert!(!matches_arn("arn:aws:iam", "arn:aws:iam::111122223333:role/app"));
        assert!(matches_arn("arn:aws:iam:*", "arn:aws:iam::111122223333:role/app"));
        assert!(!matches_arn("arn:aws:sts:*", "arn:aws:iam::111122223333:role/app"));
        assert!(!matches_arn("*:role/app", "arn:aws:iam::111122223333:role/app"));
    }
}
