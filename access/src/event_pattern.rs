//! EventBridge event patterns: decides which events a rule matches.
//!
//! Follows <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>. A pattern that
//! EventBridge would reject matches no event.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::pattern::{escape, matches};

/// Checks whether a pattern matches an event: every field must match one of the values listed for it.
pub(crate) fn takes(pattern: &Value, event: &Value) -> bool {
    let Some(fields) = pattern.as_object() else { return false };
    fields.iter().all(|(name, wanted)| match wanted {
        Value::Array(ways) if name == "$or" => ways.iter().any(|way| takes(way, event)),
        _ => field(wanted, event.get(name)),
    })
}

fn field(wanted: &Value, found: Option<&Value>) -> bool {
    match (wanted, found) {
        (Value::Array(tests), _) => tests.iter().any(|test| passes(test, &leaves(found))),
        (Value::Object(_), Some(Value::Array(all))) => all.iter().any(|one| takes(wanted, one)),
        // If an object is absent, so are all of its fields.
        (Value::Object(_), found) => takes(wanted, found.unwrap_or(&Value::Null)),
        _ => false,
    }
}

/// Returns the values of a field: the elements of a list, or none for an object.
fn leaves(found: Option<&Value>) -> Vec<&Value> {
    match found {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(all)) => all.iter().flat_map(|one| leaves(Some(one))).collect(),
        Some(one) => vec![one],
    }
}

fn passes(test: &Value, values: &[&Value]) -> bool {
    let Some(operators) = test.as_object() else {
        return values.iter().any(|value| same(test, value));
    };
    let one = |(name, argument): (&String, &Value)| match (name.as_str(), argument) {
        ("exists", Value::Bool(wanted)) => *wanted != values.is_empty(),
        ("anything-but", _) => !values.is_empty() && !values.iter().any(|value| is_named(argument, value)),
        _ => values.iter().any(|value| compares(name, argument, value)),
    };
    !operators.is_empty() && operators.iter().all(one)
}

/// Checks whether `anything-but` excludes a value: it is the argument, one of a list, or what another operator matches.
fn is_named(argument: &Value, value: &Value) -> bool {
    match argument {
        Value::Array(all) => all.iter().any(|one| same(one, value)),
        Value::Object(operators) => operators.iter().any(|(name, argument)| match argument {
            Value::Array(all) => all.iter().any(|one| compares(name, one, value)),
            one => compares(name, one, value),
        }),
        one => same(one, value),
    }
}

fn compares(operator: &str, argument: &Value, value: &Value) -> bool {
    if operator == "numeric" {
        return value.as_f64().is_some_and(|value| is_within(argument, value));
    }
    let Some(text) = value.as_str() else { return false };
    // `prefix` and `suffix` can also ignore case.
    let folded = argument.get("equals-ignore-case").and_then(Value::as_str).map(str::to_lowercase);
    let (wanted, text) = match (argument.as_str(), folded) {
        (Some(wanted), _) => (wanted.to_owned(), text.to_owned()),
        (None, Some(wanted)) if matches!(operator, "prefix" | "suffix") => (wanted, text.to_lowercase()),
        _ => return false,
    };
    match operator {
        "prefix" => text.starts_with(&wanted),
        "suffix" => text.ends_with(&wanted),
        "equals-ignore-case" => text.to_lowercase() == wanted.to_lowercase(),
        "wildcard" => matches(&wildcard(&wanted), &text),
        "cidr" => match (wanted.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(range), Ok(address)) => range.contains(&address),
            _ => false,
        },
        _ => false,
    }
}

/// Converts a pattern in which only `*` is a wildcard and `\*` is not.
fn wildcard(pattern: &str) -> String {
    let mut converted = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => converted.push('*'),
            '\\' => converted += &escape(&characters.next().unwrap_or('\\').to_string()),
            other => converted += &escape(&other.to_string()),
        }
    }
    converted
}

/// Checks a number against pairs of an operator and a limit; all must hold.
fn is_within(argument: &Value, value: f64) -> bool {
    let pairs = argument.as_array().map(Vec::as_slice).unwrap_or_default().chunks(2);
    let holds = |pair: &[Value]| {
        let [operator, limit] = pair else { return false };
        let (Some(operator), Some(limit)) = (operator.as_str(), limit.as_f64()) else { return false };
        match operator {
            "<" => value < limit,
            "<=" => value <= limit,
            ">" => value > limit,
            ">=" => value >= limit,
            "=" => value.total_cmp(&limit).is_eq(),
            _ => false,
        }
    };
    pairs.len() > 0 && pairs.into_iter().all(holds)
}

fn same(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_f64(), value.as_f64()) {
        (Some(wanted), Some(value)) => wanted.total_cmp(&value).is_eq(),
        _ => wanted == value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operators_match_as_documented() {
        let event = json!({"source": "aws.secretsmanager", "n": 15, "ip": "10.0.0.7", "list": ["a", "b"], "empty": "",
            "null": null, "path": "a*b?c", "detail": {"state": "Initializing", "items": [{"k": 1}, {"k": 2}]}});
        for (pattern, expected) in [
            (json!({}), true),
            (json!({"source": ["aws.s3", "aws.secretsmanager"]}), true),
            (json!({"source": ["AWS.SECRETSMANAGER"]}), false),
            (json!({"source": [{"equals-ignore-case": "AWS.SecretsManager"}]}), true),
            (json!({"source": [{"prefix": "aws.secrets"}]}), true),
            (json!({"source": [{"prefix": {"equals-ignore-case": "AWS.Secrets"}}]}), true),
            (json!({"source": [{"prefix": "secrets"}]}), false),
            (json!({"source": [{"suffix": "manager"}]}), true),
            (json!({"source": [{"suffix": {"equals-ignore-case": "MANAGER"}}]}), true),
            (json!({"source": [{"wildcard": "aws.*manager"}]}), true),
            (json!({"source": [{"wildcard": "aws.secretsmanage?"}]}), false),
            (json!({"path": [{"wildcard": "a\\*b?*"}]}), true),
            (json!({"path": [{"wildcard": "a\\*c*"}]}), false),
            (json!({"source": [{"anything-but": "aws.s3"}]}), true),
            (json!({"source": [{"anything-but": ["aws.s3", "aws.secretsmanager"]}]}), false),
            (json!({"source": [{"anything-but": {"prefix": "aws."}}]}), false),
            (json!({"source": [{"anything-but": {"suffix": [".s3", "manager"]}}]}), false),
            (json!({"source": [{"anything-but": {"wildcard": "*.s3"}}]}), true),
            (json!({"source": [{"anything-but": {"equals-ignore-case": ["AWS.SECRETSMANAGER"]}}]}), false),
            (json!({"absent": [{"anything-but": "x"}]}), false),
            (json!({"n": [{"anything-but": [15, 16]}]}), false),
            (json!({"n": [15.0]}), true),
            (json!({"n": [{"numeric": [">", 10, "<=", 15]}]}), true),
            (json!({"n": [{"numeric": [">", 15]}]}), false),
            (json!({"n": [{"numeric": []}]}), false),
            (json!({"ip": [{"cidr": "10.0.0.0/24"}]}), true),
            (json!({"ip": [{"cidr": "10.0.1.0/24"}]}), false),
            (json!({"list": ["b", "c"]}), true),
            (json!({"list": ["c"]}), false),
            (json!({"empty": [""], "null": [null]}), true),
            (json!({"absent": [null]}), false),
            (json!({"absent": [{"exists": false}]}), true),
            (json!({"n": [{"exists": false}]}), false),
            (json!({"absent": {"more": [{"exists": false}]}}), true),
            (json!({"absent": {"more": [{"exists": true}]}}), false),
            (json!({"detail": {"state": [{"exists": true}]}}), true),
            (json!({"detail": [{"exists": true}]}), false),
            (json!({"detail": {"items": {"k": [2]}}}), true),
            (json!({"$or": [{"n": [1]}, {"detail": {"state": ["Initializing"]}}]}), true),
            (json!({"source": ["aws.s3"], "$or": [{"n": [15]}]}), false),
            (json!({"source": [{"looks-like": "aws"}]}), false),
            (json!({"source": [{}]}), false),
            (json!({"source": "aws.secretsmanager"}), false),
            (json!("*"), false),
        ] {
            assert_eq!(takes(&pattern, &event), expected, "{pattern}");
        }
    }
}
