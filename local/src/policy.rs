//! Resource policies: checks the syntax of a document, and whether it makes a secret public.
//!
//! Policies are stored and checked but not enforced: this endpoint accepts any caller.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::arn::is_account;
use crate::error::{ErrorCode, ServiceError};

/// Checks that a document is a resource policy according to IAM's grammar
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
pub(crate) fn check(document: &str) -> Result<(), ServiceError> {
    // The first sentence is the service's own (user guide, "Attach a permissions policy to a secret").
    fault(document).map_or(Ok(()), |what| {
        let message = format!("This resource policy contains a syntax error. {what}.");
        Err(ServiceError::new(ErrorCode::MalformedPolicyDocument, message))
    })
}

fn fault(document: &str) -> Option<String> {
    let Ok(Value::Object(policy)) = serde_json::from_str(document) else {
        return Some("It is not a JSON object".to_owned());
    };
    if let Some(unknown) = policy.keys().find(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return Some(format!("It has an unknown element, {unknown}"));
    }
    if policy.get("Version").is_some_and(|version| version != "2012-10-17" && version != "2008-10-17") {
        return Some("Its Version must be 2012-10-17 or 2008-10-17".to_owned());
    }
    if policy.get("Id").is_some_and(|id| !id.is_string()) {
        return Some("Its Id must be a string".to_owned());
    }
    let statements = statements(&policy);
    if statements.is_empty() {
        return Some("It has no Statement".to_owned());
    }
    let sid = |statement: &&Value| statement.get("Sid").cloned();
    let mut sids = BTreeSet::new();
    if let Some(twice) = statements.iter().filter_map(sid).find(|sid| !sids.insert(sid.to_string())) {
        return Some(format!("The Sid {twice} appears twice"));
    }
    statements.into_iter().enumerate().find_map(|(i, statement)| {
        statement_fault(statement).map(|what| format!("Statement {}: {what}", i + 1))
    })
}

/// Returns whether a statement allows any principal without a condition.
pub(crate) fn is_public(document: &str) -> bool {
    let Ok(Value::Object(policy)) = serde_json::from_str(document) else { return false };
    statements(&policy).into_iter().any(|statement| {
        statement.get("Effect").is_some_and(|effect| effect == "Allow")
            && statement.get("Condition").is_none()
            && (statement.get("NotPrincipal").is_some() || statement.get("Principal").is_some_and(is_anyone))
    })
}

fn statement_fault(statement: &Value) -> Option<String> {
    let Value::Object(statement) = statement else { return Some("it is not an object".to_owned()) };
    for (name, value) in statement {
        let wrong = match name.as_str() {
            "Sid" => (!value.is_string()).then_some("a string"),
            "Effect" => (value != "Allow" && value != "Deny").then_some("Allow or Deny"),
            "Principal" | "NotPrincipal" => (!is_principal(value))
                .then_some("\"*\", or an object of AWS, Service, Federated or CanonicalUser"),
            "Action" | "NotAction" if !are_texts(value, is_action) => Some("\"*\" or SERVICE:ACTION"),
            // Only actions of Secrets Manager apply to a secret.
            "Action" => (!are_texts(value, is_of_service)).then_some("\"*\" or secretsmanager:ACTION"),
            "NotAction" => None,
            "Resource" | "NotResource" => (!are_texts(value, |text| text == "*" || text.starts_with("arn:")))
                .then_some("\"*\" or an ARN"),
            "Condition" => condition_fault(value),
            _ => return Some(format!("unknown element {name}")),
        };
        if let Some(wanted) = wrong {
            return Some(format!("{name} must be {wanted}"));
        }
    }
    let has_one = |a: &str, b: &str| statement.contains_key(a) != statement.contains_key(b);
    if !statement.contains_key("Effect") {
        return Some("Effect is missing".to_owned());
    }
    let pairs = [("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")];
    let lacks = pairs.into_iter().find(|(one, other)| !has_one(one, other));
    lacks.map(|(one, other)| format!("it must have either {one} or {other}"))
}

fn is_principal(value: &Value) -> bool {
    let is_kind = |(kind, ids): (&String, &Value)| {
        let is_known = ["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str());
        is_known && are_texts(ids, |id| kind != "AWS" || is_aws_principal(id))
    };
    match value {
        Value::Object(by_kind) => !by_kind.is_empty() && by_kind.iter().all(is_kind),
        other => other == "*",
    }
}

/// Returns whether an id is `*`, an account, or the ARN of an IAM or STS principal.
fn is_aws_principal(id: &str) -> bool {
    id == "*"
        || is_account(id)
        || id.starts_with("arn:") && [":iam::", ":sts::"].iter().any(|service| id.contains(service))
}

fn is_action(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-*?".contains(&b))
    };
    text == "*" || text.split_once(':').is_some_and(|(service, action)| is_word(service) && is_word(action))
}

fn is_of_service(action: &str) -> bool {
    let service = action.split_once(':').map_or("*", |(service, _)| service);
    service.contains(['*', '?']) || service.eq_ignore_ascii_case("secretsmanager")
}

/// Returns whether a value is a string that fits, or a non-empty list of such strings.
fn are_texts(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    let fits = |value: &Value| value.as_str().is_some_and(&fits);
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(fits),
        one => fits(one),
    }
}

/// Returns what a condition block must be, if it is invalid.
fn condition_fault(value: &Value) -> Option<&'static str> {
    let Value::Object(operators) = value else { return Some("an object of operators") };
    for (operator, keys) in operators {
        if !is_operator(operator) {
            return Some("an object of operators such as StringEquals");
        }
        let Value::Object(keys) = keys else {
            return Some("an object of condition keys under each operator");
        };
        let is_plain = |value: &Value| value.is_string() || value.is_boolean() || value.is_number();
        let fits = |value: &Value| match value {
            Value::Array(list) => list.iter().all(is_plain),
            one => is_plain(one),
        };
        if !keys.values().all(fits) {
            return Some("strings, or lists of strings, for each condition key");
        }
    }
    None
}

/// Returns whether a text is an operator such as `StringEquals`, `ForAnyValue:StringLikeIfExists` or `Null`, ignoring
/// case (IAM user guide, "Condition operators").
fn is_operator(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let text = ["forallvalues:", "foranyvalue:"]
        .iter()
        .find_map(|quantifier| text.strip_prefix(quantifier))
        .unwrap_or(&text);
    let name = text.strip_suffix("ifexists").unwrap_or(text);
    let order = name.strip_prefix("numeric").or(name.strip_prefix("date"));
    OPERATORS.contains(&name)
        || text == "null"
        || order.is_some_and(|order| ORDERS.contains(&order.strip_suffix("equals").unwrap_or(order)))
}

const OPERATORS: &[&str] = &[
    "arnequals",
    "arnlike",
    "arnnotequals",
    "arnnotlike",
    "binaryequals",
    "bool",
    "ipaddress",
    "notipaddress",
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "stringnotequals",
    "stringnotequalsignorecase",
    "stringnotlike",
];

/// What can follow `Numeric` and `Date`, without a final `Equals`.
const ORDERS: &[&str] = &["", "not", "lessthan", "greaterthan"];

/// Returns the statements of a policy. A single statement does not need a list.
fn statements(policy: &Map<String, Value>) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// Returns whether a principal is `"*"` or `{"AWS": "*"}`, or such a list.
fn is_anyone(principal: &Value) -> bool {
    match principal {
        Value::String(text) => text == "*",
        Value::Array(list) => list.iter().any(is_anyone),
        Value::Object(by_kind) => by_kind.get("AWS").is_some_and(is_anyone),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#)
    }

    #[test]
    fn what_is_a_policy() {
        let good = r#"{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*"}"#;
        let with = |element: &str| fault(&policy(&good.replace('}', &format!(",{element}}}"))));
        assert_eq!(fault(&policy(good)), None);
        assert_eq!(fault(&policy(&format!("[{good},{good}]"))), None);
        for bad in ["", "x", "[]", "{}", r#"{"Version":"2012-10-17"}"#, r#"{"Statements":[]}"#] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        for (part, other) in [("Effect", "Efect"), ("Principal", "Who"), ("Action", "Do"), ("Resource", "To")]
        {
            assert!(fault(&policy(&good.replace(part, other))).is_some(), "{part}");
        }
        for (part, other) in [
            (r#""Deny""#, r#""deny""#),
            (r#":"*","Action"#, r#":"bob","Action"#),
            (r#":"*","Action"#, r#":{"AWS":"bob"},"Action"#),
            (r#":"*","Action"#, r#":{"Who":"*"},"Action"#),
            (r#":"*","Action"#, r#":{},"Action"#),
            (r#""secretsmanager:*""#, r#""GetSecretValue""#),
            (r#""secretsmanager:*""#, r#""s3:GetObject""#),
            (r#""secretsmanager:*""#, r#"["secretsmanager:GetSecretValue","kms:Decrypt"]"#),
            (r#""secretsmanager:*""#, "[]"),
            (r#""Resource":"*""#, r#""Resource":"db""#),
            (r#""Resource":"*""#, r#""Resource":5"#),
        ] {
            let bad = good.replace(part, other);
            assert!(bad != good && fault(&policy(&bad)).is_some(), "{bad}");
        }
        assert!(fault(&policy(&format!("[{0},{0}]", good.replace('}', r#","Sid":"a"}"#)))).is_some());
        for action in [r#""*""#, r#""SecretsManager:Get*""#, r#""secrets*:*""#] {
            assert_eq!(fault(&policy(&good.replace(r#""secretsmanager:*""#, action))), None, "{action}");
        }
        for good in [
            r#""Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
            r#""Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a"]},"Null":{"a":true}}"#,
            r#""Condition":{"NumericLessThanEquals":{"a":5},"DateNotEquals":{"b":"2026-01-01"}}"#,
            r#""Condition":{"Bool":{"aws:SecureTransport":"false"}},"Sid":"one""#,
        ] {
            assert_eq!(with(good), None, "{good}");
        }
        for bad in [
            r#""Condition":"StringEquals""#,
            r#""Condition":{"StringEquals":"aws:SourceVpc"}"#,
            r#""Condition":{"StringEqual":{"aws:SourceVpc":"vpc-1"}}"#,
            r#""Condition":{"NullIfExists":{"a":"true"}}"#,
            r#""Condition":{"StringEquals":{"a":{"b":"c"}}}"#,
            r#""Conditions":{}"#,
            r#""NotAction":"*""#,
            r#""Sid":5"#,
        ] {
            assert!(with(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn what_is_public() {
        let allow =
            |rest: &str| policy(&format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*",{rest}}}"#));
        assert!(is_public(&allow(r#""Principal":"*""#)));
        assert!(is_public(&allow(r#""Principal":{"AWS":["arn:aws:iam::1:root","*"]}"#)));
        assert!(is_public(&allow(r#""NotPrincipal":{"AWS":"arn:aws:iam::1:root"}"#)));
        assert!(!is_public(&allow(r#""Principal":"*","Condition":{"StringEquals":{"a":"b"}}"#)));
        assert!(!is_public(&allow(r#""Principal":{"AWS":"arn:aws:iam::1:root"}"#)));
        assert!(!is_public(&allow(r#""Principal":"*""#).replace("Allow", "Deny")));
    }
}
