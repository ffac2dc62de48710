//! Principals other than the key's account that can change its policy or grant its use, and can thereby decrypt.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::customer_key;
use super::policy::{is_every_action, is_own_account, uses};
use crate::audited::Audit;
use crate::document::{Document, Effect, Scope, Statement};
use crate::evaluate::concerns_action;
use crate::exposure::is_for_all;
use crate::exposure::trust::listed;
use crate::finding::{Findings, Severity};
use crate::fix::put_key_policy;
use crate::pattern::matches_ignoring_case;
use crate::service::GIVES_KEY;
use crate::snapshot::{Key, Secret};

/// Principals, each with the calls by which it can gain use of the key.
type Holders = BTreeMap<String, BTreeSet<&'static str>>;

pub(super) fn broad(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some((key, document)) = customer_key(audit, secret).and_then(|key| Some((key, key.policy.as_ref()?)))
    else {
        return;
    };
    for (index, statement) in document.statements.iter().enumerate() {
        if statement.effect == Effect::Deny || is_own_account(audit, statement) {
            continue;
        }
        let outside = outside(audit, key, document, index);
        let inside = inside(audit, secret, key, document, index);
        let has_all = concerns_action(statement, GIVES_KEY[0])
            && statement.action.listed().iter().any(|action| is_every_action(action));
        if !has_all && outside.is_empty() && inside.is_empty() {
            continue;
        }
        let is_grave = !outside.is_empty() || inside.contains_key(EVERYBODY);
        let calls: BTreeSet<_> = outside.values().chain(inside.values()).flatten().copied().collect();
        let what = if has_all { "kms:*".to_owned() } else { Vec::from_iter(calls).join(", ") };
        let who: Vec<_> = outside.keys().chain(inside.keys()).map(String::as_str).collect();
        let who = if who.is_empty() { String::new() } else { format!(" to {}", who.join(", ")) };
        let seen = format!("{} allows {what}{who}", statement.title(index));
        let finding = findings.add(&key.arn, seen);
        if is_grave {
            finding.severity = Severity::High;
        }
        let names: BTreeSet<_> = outside.keys().chain(inside.keys()).cloned().collect();
        let rest = narrowed(audit, document, index, &names, has_all);
        finding.run(put_key_policy(&key.arn, &document.with_statements(index, rest))).advise(
            "first make sure that another statement lets someone administer the key: this one no longer will",
        );
    }
}

const EVERYBODY: &str = "every principal of this account";

/// Other accounts, and their principals, that a statement lets gain use of the key.
fn outside(audit: &Audit<'_>, key: &Key, document: &Document, index: usize) -> Holders {
    let mut found = Holders::new();
    for action in GIVES_KEY {
        let all = audit.account.exposure(document, action, &key.arn).outsiders();
        let its =
            all.into_iter().filter(|it| it.statement == index && it.kind == "AWS" && it.principal != "*");
        for outsider in its {
            found.entry(outsider.principal).or_default().insert(action);
        }
    }
    found
}

/// Programs of the account that a statement lets gain use of the key, or the whole account if their own policies do not
/// matter.
fn inside(audit: &Audit<'_>, secret: &Secret, key: &Key, document: &Document, index: usize) -> Holders {
    let statement = &document.statements[index];
    let mut found = Holders::new();
    for action in GIVES_KEY.into_iter().filter(|action| concerns_action(statement, action)) {
        let exposure = audit.account.exposure(document, action, &key.arn);
        if is_for_all(statement) && exposure.lets_in_account(index) && !exposure.is_public(index) {
            found.entry(EVERYBODY.to_owned()).or_default().insert(action);
        }
        for principal in &audit.snapshot.principals {
            if listed(statement, "AWS").any(|id| id == principal.arn || id == principal.id)
                && audit.runs_something(principal)
                && !audit.is_administrator(principal)
                && audit.account.may_give_key(secret, principal, action)
            {
                found.entry(principal.arn.clone()).or_default().insert(action);
            }
        }
    }
    found
}

/// The statements that replace one: principals that should not control the key keep only its use; the others keep
/// everything.
fn narrowed(
    audit: &Audit<'_>,
    document: &Document,
    index: usize,
    names: &BTreeSet<String>,
    has_all: bool,
) -> Vec<Value> {
    let (json, statement) = (document.statement_json(index), &document.statements[index]);
    let mut for_use = json.clone();
    if let Some(fields) = for_use.as_object_mut() {
        fields.shift_remove("NotAction");
        fields.insert("Action".to_owned(), without_giving(statement));
    }
    let mut left = match &statement.principal {
        Some(Scope::Only(listed)) if !is_for_all(statement) => listed.0.clone(),
        _ => Default::default(),
    };
    // Only the account itself keeps kms:*.
    let root = format!(":iam::{}:root", audit.snapshot.account);
    let is_kept = |id: &String| {
        !names.contains(id) && (!has_all || id.ends_with(&root) || *id == audit.snapshot.account)
    };
    let mut others = left.clone();
    left.values_mut().for_each(|ids| ids.retain(is_kept));
    left.retain(|_, ids| !ids.is_empty());
    if left.is_empty() {
        return if for_use["Action"] == json!([]) { Vec::new() } else { vec![for_use] };
    }
    others.values_mut().for_each(|ids| ids.retain(|id| !is_kept(id)));
    others.retain(|_, ids| !ids.is_empty());
    let mut rest = json.clone();
    rest["Principal"] = json!(left);
    for_use["Principal"] = json!(others);
    for_use.as_object_mut().map(|fields| fields.shift_remove("Sid"));
    if for_use["Action"] == json!([]) { vec![rest] } else { vec![rest, for_use] }
}

/// The actions that a statement allows, without those that give use of the key.
fn without_giving(statement: &Statement) -> Value {
    match &statement.action {
        Scope::Only(actions) if !actions.iter().any(|action| is_every_action(action)) => {
            let gives = |action: &&String| GIVES_KEY.iter().any(|call| matches_ignoring_case(action, call));
            json!(actions.iter().filter(|action| !gives(action)).collect::<Vec<_>>())
        }
        _ => uses(statement),
    }
}
