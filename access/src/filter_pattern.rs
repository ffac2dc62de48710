//! Patterns of CloudWatch Logs metric filters: decides which records of a trail they count.
//!
//! Syntax: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>.

use regex_lite::Regex;
use serde_json::Value;

use crate::condition::Truth;
use crate::pattern::{escape, matches};

/// Checks whether a filter's pattern counts a record; [`Truth::Maybe`] if the documentation does not say.
pub(crate) fn counts(pattern: &str, record: &Value) -> Truth {
    /// The limit of CloudWatch. A longer pattern comes from elsewhere and could nest too deeply.
    const LONGEST: usize = 1024;
    let pattern = pattern.trim();
    if pattern.len() > LONGEST {
        return Truth::Maybe;
    }
    if let Some(inside) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let mut parser = Parser { rest: inside.trim(), record };
        return parser.any().filter(|_| parser.rest.is_empty()).unwrap_or(Truth::Maybe);
    }
    // Patterns for space-delimited records do not apply to JSON.
    if pattern.starts_with('[') {
        return Truth::Maybe;
    }
    let text = record.to_string();
    terms(pattern, &text)
}

/// Evaluates terms: all must be in the text, except those after `-`, which must not be, and those after `?`, of which
/// one must be if there are no others.
fn terms(pattern: &str, text: &str) -> Truth {
    let (mut all, mut any, mut has_any) = (true, false, false);
    let mut has_all = false;
    let mut rest = pattern;
    while let Some(term) = next_term(&mut rest) {
        let (kind, term) = match term.chars().next() {
            Some(sign @ ('?' | '-')) => (sign, &term[1..]),
            _ => (' ', term),
        };
        let is_there = match inside(term, '%') {
            Some(regex) => Regex::new(regex).is_ok_and(|regex| regex.is_match(text)),
            None => text.contains(&inside(term, '"').unwrap_or(term).replace("\\\"", "\"")),
        };
        match kind {
            '?' => (any, has_any) = (any || is_there, true),
            '-' => all &= !is_there,
            _ => (all, has_all) = (all && is_there, true),
        }
    }
    (all && (has_all || !has_any || any)).into()
}

fn inside(term: &str, mark: char) -> Option<&str> {
    term.strip_prefix(mark)?.strip_suffix(mark)
}

/// Takes the next term: a word, or a quoted text.
fn next_term<'p>(rest: &mut &'p str) -> Option<&'p str> {
    *rest = rest.trim_start();
    if rest.is_empty() {
        return None;
    }
    let (mut mark, mut is_escaped) = (None, false);
    let mut end = rest.len();
    for (at, c) in rest.char_indices() {
        match (mark, c) {
            _ if is_escaped => is_escaped = false,
            (_, '\\') => is_escaped = true,
            (Some(open), c) if c == open => mark = None,
            (None, '"' | '%') => mark = Some(c),
            (None, c) if c.is_whitespace() => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (term, after) = rest.split_at(end);
    *rest = after;
    Some(term)
}

/// Parses a pattern for JSON and evaluates it on one record at the same time. Its methods return `None` for a pattern
/// that it cannot parse.
struct Parser<'p> {
    rest: &'p str,
    record: &'p Value,
}

impl<'p> Parser<'p> {
    fn take(&mut self, word: &str) -> bool {
        let taken = self.rest.get(..word.len()).filter(|it| it.eq_ignore_ascii_case(word));
        let is_it = taken.is_some();
        if is_it {
            self.rest = self.rest[word.len()..].trim_start();
        }
        is_it
    }

    fn any(&mut self) -> Option<Truth> {
        let mut truth = self.all()?;
        while self.take("||") {
            truth = truth.max(self.all()?);
        }
        Some(truth)
    }

    fn all(&mut self) -> Option<Truth> {
        let mut truth = self.one()?;
        while self.take("&&") {
            truth = truth.min(self.one()?);
        }
        Some(truth)
    }

    fn one(&mut self) -> Option<Truth> {
        if self.take("(") {
            let truth = self.any()?;
            return self.take(")").then_some(truth);
        }
        let found = self.selected()?;
        if self.take("NOT EXISTS") {
            return Some(found.is_empty().into());
        }
        if self.take("EXISTS") {
            return Some((!found.is_empty()).into());
        }
        if self.take("IS") {
            let wanted = [("NULL", Value::Null), ("TRUE", true.into()), ("FALSE", false.into())];
            let (_, wanted) = wanted.into_iter().find(|(word, _)| self.take(word))?;
            return Some(found.iter().any(|value| **value == wanted).into());
        }
        let operators = ["!=", "<=", ">=", "=", "<", ">"];
        let operator = operators.into_iter().find(|operator| self.take(operator))?;
        let test = self.value()?;
        let truths = found.iter().map(|value| test.compares(operator, value));
        Some(match operator {
            // The documentation does not say what happens if the field is missing.
            "!=" if found.is_empty() => Truth::Maybe,
            "!=" => truths.min().unwrap_or(Truth::Maybe),
            _ => truths.max().unwrap_or(Truth::No),
        })
    }

    /// Returns the values that a selector such as `$.a.b[0]` finds.
    fn selected(&mut self) -> Option<Vec<&'p Value>> {
        let mut rest = self.rest.strip_prefix('$')?;
        let mut found = vec![self.record];
        loop {
            if let Some(after) = rest.strip_prefix('.') {
                let is_name = |c: char| c.is_alphanumeric() || "_-*".contains(c);
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                let name = &after[..end];
                if name.is_empty() {
                    return None;
                }
                found = found.into_iter().flat_map(|it| fields(it, name)).collect();
                rest = &after[end..];
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inside, after) = after.split_once(']')?;
                let name = inside.trim().trim_matches(['\'', '"']);
                found = found.into_iter().flat_map(|it| fields(it, name)).collect();
                rest = after;
            } else {
                break;
            }
        }
        self.rest = rest.trim_start();
        Some(found)
    }

    fn value(&mut self) -> Option<Test> {
        let open = self.rest.chars().next()?;
        if open == '"' || open == '%' {
            let (mut is_escaped, mut end) = (false, None);
            for (at, c) in self.rest.char_indices().skip(1) {
                match c {
                    _ if is_escaped => is_escaped = false,
                    '\\' => is_escaped = true,
                    c if c == open => {
                        end = Some(at);
                        break;
                    }
                    _ => {}
                }
            }
            let text = &self.rest[1..end?];
            self.rest = self.rest[end? + 1..].trim_start();
            return if open == '%' {
                Regex::new(text).ok().map(Test::Regex)
            } else {
                Some(Test::Text(text.replace("\\\"", "\"").replace("\\\\", "\\")))
            };
        }
        let end = self.rest.find(|c: char| c.is_whitespace() || ")&|".contains(c)).unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        self.rest = self.rest[end..].trim_start();
        (!text.is_empty()).then(|| Test::Text(text.to_owned()))
    }
}

fn fields<'v>(value: &'v Value, name: &str) -> Vec<&'v Value> {
    match value {
        Value::Object(fields) if name == "*" => fields.values().collect(),
        Value::Object(fields) => fields.get(name).into_iter().collect(),
        Value::Array(all) if name == "*" => all.iter().collect(),
        Value::Array(all) => name.parse().ok().and_then(|at: usize| all.get(at)).into_iter().collect(),
        _ => Vec::new(),
    }
}

enum Test {
    Regex(Regex),
    /// A text in which `*` matches any characters.
    Text(String),
}

impl Test {
    fn compares(&self, operator: &str, value: &Value) -> Truth {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Object(_) | Value::Array(_) => return Truth::No,
            other => other.to_string(),
        };
        let is_same = match self {
            Self::Regex(regex) => regex.is_match(&text),
            Self::Text(wanted) => {
                if let (Ok(wanted), Some(value)) = (wanted.parse::<f64>(), value.as_f64()) {
                    return match operator {
                        "=" => value == wanted,
                        "!=" => value != wanted,
                        "<" => value < wanted,
                        "<=" => value <= wanted,
                        ">" => value > wanted,
                        _ => value >= wanted,
                    }
                    .into();
                }
                let parts: Vec<_> = wanted.split('*').map(escape).collect();
                matches(&parts.join("*"), &text)
            }
        };
        match operator {
            "=" => is_same.into(),
            "!=" => (!is_same).into(),
            _ => Truth::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_count_as_documented() {
        let record = json!({"eventName": "DeleteSecret", "eventSource": "secretsmanager.amazonaws.com", "n": 5, "none": null,
            "yes": true, "userIdentity": {"type": "AssumedRole"}, "resources": [{"ARN": "a?b"}, {"ARN": "c"}]});
        for (pattern, expected) in [
            ("", Truth::Yes),
            ("{ $.eventName = DeleteSecret }", Truth::Yes),
            ("{$.eventName=\"DeleteSecret\"}", Truth::Yes),
            ("{ $.eventName = \"Delete*\" }", Truth::Yes),
            ("{ $.eventName = *Secret }", Truth::Yes),
            ("{ $.eventName = %Delete.*% }", Truth::Yes),
            ("{ $.eventName = %^Secret% }", Truth::No),
            ("{ $.eventname = DeleteSecret }", Truth::No),
            ("{ $.eventName = deletesecret }", Truth::No),
            ("{ $.eventName = \"DeleteSecre?\" }", Truth::No),
            ("{ $.eventName != GetSecretValue }", Truth::Yes),
            ("{ $.errorCode != AccessDenied }", Truth::Maybe),
            ("{ $.errorCode NOT EXISTS }", Truth::Yes),
            ("{ $.eventName NOT EXISTS }", Truth::No),
            ("{ $.none IS NULL && $.yes IS TRUE }", Truth::Yes),
            ("{ $.yes IS FALSE }", Truth::No),
            ("{ $.n > 4 && $.n <= 5 && $.n != 6 }", Truth::Yes),
            ("{ $.n > 5 }", Truth::No),
            ("{ $.userIdentity.type = AssumedRole }", Truth::Yes),
            ("{ $.resources[1].ARN = c }", Truth::Yes),
            ("{ $.resources[*].ARN = \"a?b\" }", Truth::Yes),
            ("{ ($.eventName = A) || ($.eventName = DeleteSecret) && ($.n = 5) }", Truth::Yes),
            ("{ (($.eventName = A) || ($.eventName = DeleteSecret)) && ($.n = 6) }", Truth::No),
            ("{ ($.eventName = GetSecretValue) && ($.eventName = DeleteSecret) }", Truth::No),
            ("{ something else }", Truth::Maybe),
            ("DeleteSecret", Truth::Yes),
            ("\"DeleteSecret\" \"secretsmanager.amazonaws.com\"", Truth::Yes),
            ("DeleteSecret -secretsmanager", Truth::No),
            ("?PutSecretValue ?DeleteSecret", Truth::Yes),
            ("?PutSecretValue ?GetSecretValue", Truth::No),
            ("%Delete[A-Z]ecret%", Truth::Yes),
            ("PutSecretValue", Truth::No),
            ("\"\\\"eventName\\\":\\\"DeleteSecret\\\"\"", Truth::Yes),
            ("[a, b=DeleteSecret]", Truth::Maybe),
        ] {
            assert_eq!(counts(pattern, &record), expected, "{pattern}");
        }
        let deep = format!("{{{}}}", "(".repeat(1_000_000));
        assert_eq!(counts(&deep, &record), Truth::Maybe);
    }
}
