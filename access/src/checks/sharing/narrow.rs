//! Narrows a statement of a resource policy to keep out a principal. All others keep their access.

use serde_json::{Value, json};

use crate::audited::Audit;
use crate::document::{Condition, Document, Effect, Scope, Statement};
use crate::exposure::is_for_all;

/// What replaces a statement.
pub(in crate::checks) enum Narrowed {
    Statement(Value),
    /// Nothing: the statement would apply to no one else.
    Gone,
}

/// The statement limited to the account's own principals. `None` if it also lets in services, whose requests have no
/// account.
pub(in crate::checks) fn to_account(audit: &Audit<'_>, policy: &Document, index: usize) -> Option<Narrowed> {
    let statement = &policy.statements[index];
    let Some(Scope::Only(listed)) = &statement.principal else { return None };
    let has_others = listed.0.keys().any(|kind| kind != "AWS");
    let has_condition =
        statement.conditions.iter().any(|it| it.key.eq_ignore_ascii_case("aws:PrincipalAccount"));
    if has_others || has_condition {
        return None;
    }
    let mut json = policy.statement_json(index).clone();
    json["Condition"]["StringEquals"]["aws:PrincipalAccount"] = json!(audit.snapshot.account);
    Some(Narrowed::Statement(json))
}

/// The statement without one principal; `None` if that principal cannot be separated from the others.
pub(in crate::checks) fn without(policy: &Document, index: usize, id: &str) -> Option<Narrowed> {
    let statement = &policy.statements[index];
    let listed = statement.principal.iter().flat_map(|scope| scope.listed().0.values()).flatten();
    if listed.clone().any(|it| it == id) {
        return without_listed(policy.statement_json(index), statement, id);
    }
    if is_for_all(statement) && listed.count() == 1 && statement.effect == Effect::Allow {
        return without_named(policy.statement_json(index), statement, id);
    }
    None
}

fn without_listed(json: &Value, statement: &Statement, id: &str) -> Option<Narrowed> {
    let (name, mut left) = match &statement.principal {
        Some(Scope::Only(listed)) => ("Principal", listed.0.clone()),
        Some(Scope::AllBut(listed)) => ("NotPrincipal", listed.0.clone()),
        None => return None,
    };
    left.values_mut().for_each(|ids| ids.retain(|it| it != id));
    left.retain(|_, ids| !ids.is_empty());
    if left.is_empty() {
        // A NotPrincipal without exceptions would mean something else.
        return (name == "Principal").then_some(Narrowed::Gone);
    }
    let mut json = json.clone();
    json[name] = json!(left);
    Some(Narrowed::Statement(json))
}

/// As `without_listed`, for a statement for everyone that a condition narrows.
fn without_named(json: &Value, statement: &Statement, id: &str) -> Option<Narrowed> {
    let account = |value: &str| value.split(':').nth(4).unwrap_or(value).to_owned();
    // An outsider is a principal's ARN or id, or an account, which a pattern of ARNs can represent.
    let is_outsider = |value: &str| {
        value == id || value.split(':').next() == Some(id) || !id.contains(':') && account(value) == id
    };
    let names = |it: &&Condition| {
        let keys = ["aws:principalarn", "aws:principalaccount", "aws:userid"];
        let operators = ["stringequals", "stringlike", "arnequals", "arnlike"];
        keys.contains(&it.key.to_ascii_lowercase().as_str())
            && operators.contains(&it.operator.to_ascii_lowercase().as_str())
            && it.values.iter().any(|value| is_outsider(value))
    };
    let mut naming = statement.conditions.iter().filter(names);
    let (Some(condition), None) = (naming.next(), naming.next()) else { return None };
    let left: Vec<_> = condition.values.iter().filter(|value| !is_outsider(value)).collect();
    if left.is_empty() {
        return Some(Narrowed::Gone);
    }
    let mut json = json.clone();
    json["Condition"][&condition.operator][&condition.key] = json!(left);
    Some(Narrowed::Statement(json))
}
