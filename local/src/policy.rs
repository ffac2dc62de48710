//! Resource policies: whether a document is one, and whether it opens a secret to everybody.
//!
//! Policies are kept and checked, not enforced: this endpoint accepts any caller.

use serde_json::{Map, Value};

/// What is wrong with a policy document; `None` if nothing is.
///
/// Checks what IAM's policy grammar asks of a resource policy's top level: a version, and statements each
/// with an effect, a principal and actions.
pub(crate) fn fault(document: &str) -> Option<String> {
    let Ok(Value::Object(policy)) = serde_json::from_str(document) else {
        return Some("The policy is not a JSON object.".to_owned());
    };
    if let Some(unknown) = policy.keys().find(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return Some(format!("The policy has an unknown element: {unknown}."));
    }
    if policy.get("Version").is_some_and(|version| version != "2012-10-17" && version != "2008-10-17") {
        return Some("The policy's Version must be 2012-10-17 or 2008-10-17.".to_owned());
    }
    let statements = statements(&policy);
    if statements.is_empty() {
        return Some("The policy has no Statement.".to_owned());
    }
    statements.into_iter().enumerate().find_map(|(i, statement)| {
        statement_fault(statement).map(|what| format!("Statement {} of the policy {what}.", i + 1))
    })
}

/// Whether a statement allows any principal without a condition.
pub(crate) fn is_public(document: &str) -> bool {
    let Ok(Value::Object(policy)) = serde_json::from_str(document) else { return false };
    statements(&policy).into_iter().any(|statement| {
        statement.get("Effect").is_some_and(|effect| effect == "Allow")
            && statement.get("Condition").is_none()
            && (statement.get("NotPrincipal").is_some() || statement.get("Principal").is_some_and(is_anyone))
    })
}

fn statement_fault(statement: &Value) -> Option<&'static str> {
    let Value::Object(statement) = statement else { return Some("is not an object") };
    let has_one = |a: &str, b: &str| statement.contains_key(a) != statement.contains_key(b);
    if !statement.get("Effect").is_some_and(|effect| effect == "Allow" || effect == "Deny") {
        return Some("must have the Effect Allow or Deny");
    }
    if !has_one("Principal", "NotPrincipal") {
        return Some("must have a Principal or a NotPrincipal");
    }
    if !has_one("Action", "NotAction") {
        return Some("must have an Action or a NotAction");
    }
    (!has_one("Resource", "NotResource")).then_some("must have a Resource or a NotResource")
}

/// One statement may stand alone, without a list.
fn statements(policy: &Map<String, Value>) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// `"*"`, or `{"AWS": "*"}`, or a list with it.
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
        assert_eq!(fault(&policy(good)), None);
        assert_eq!(fault(&policy(&format!("[{good},{good}]"))), None);
        for bad in ["", "x", "[]", "{}", r#"{"Version":"2012-10-17"}"#, r#"{"Statements":[]}"#] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        for (part, other) in [("Effect", "Efect"), ("Principal", "Who"), ("Action", "Do"), ("Resource", "To")]
        {
            assert!(fault(&policy(&good.replace(part, other))).is_some(), "{part}");
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
