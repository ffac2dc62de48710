//! Matches one statement against a request: its action, resource, principals and conditions.

use super::{Caller, CallerKind, Request};
use crate::condition::{Context, Expanded, Truth, expand, holds};
use crate::document::{Effect, Principals, Scope, Statement};
use crate::pattern::{matches, matches_ignoring_case};

/// How a resource policy names the caller.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum NamedAs {
    /// By its account, which delegates the decision to identity policies.
    Account,
    /// As part of everyone, or by its role.
    Role,
    /// By its own ARN. Within the account, permissions boundaries and session policies do not limit what such a
    /// statement allows.
    Itself,
}

/// Checks whether a statement covers an action.
pub(crate) fn concerns_action(statement: &Statement, action: &str) -> bool {
    match &statement.action {
        Scope::Only(patterns) => patterns.iter().any(|pattern| matches_ignoring_case(pattern, action)),
        Scope::AllBut(patterns) => !patterns.iter().any(|pattern| matches_ignoring_case(pattern, action)),
    }
}

pub(crate) fn concerns_resource(statement: &Statement, request: &Request<'_>, has_variables: bool) -> Truth {
    let any = |patterns: &[String]| {
        let one = |pattern: &String| match expand(pattern, request.context, has_variables) {
            Expanded::Text(pattern) => Truth::from(matches(&pattern, request.resource)),
            Expanded::Absent => Truth::No,
            Expanded::Unknown => Truth::Maybe,
        };
        patterns.iter().map(one).max().unwrap_or(Truth::No)
    };
    match &statement.resource {
        Some(Scope::Only(patterns)) => any(patterns),
        Some(Scope::AllBut(patterns)) => any(patterns).not(),
        // A trust policy, for example, applies to the role it is attached to.
        None => Truth::Yes,
    }
}

/// Checks whether all conditions of a statement hold.
pub(crate) fn conditions_hold(statement: &Statement, context: &Context, has_variables: bool) -> Truth {
    let truths = statement.conditions.iter().map(|condition| holds(condition, context, has_variables));
    truths.min().unwrap_or(Truth::Yes)
}

/// Checks whether the principals of a statement in a resource policy include a caller.
pub(crate) fn names_caller(statement: &Statement, caller: &Caller) -> bool {
    !named_as(statement, caller, false).is_empty()
}

/// Returns how a statement names the caller, with one entry per match.
pub(super) fn named_as(statement: &Statement, caller: &Caller, has_boundary: bool) -> Vec<(Truth, NamedAs)> {
    match &statement.principal {
        Some(Scope::Only(listed)) => {
            let mut found = listed_as(listed, caller);
            if caller.is_role() && names_by_condition(statement) && lists_everybody(listed) {
                found.push((Truth::Yes, NamedAs::Itself));
            }
            found
        }
        Some(Scope::AllBut(listed)) => {
            let listed = listed_as(listed, caller);
            let lists = |wanted: NamedAs| {
                listed.iter().any(|(truth, named)| *named >= wanted && *truth == Truth::Yes)
            };
            let is_caller = lists(NamedAs::Role);
            let has_account =
                listed.iter().any(|(_, named)| *named == NamedAs::Account) || caller.account.is_empty();
            match statement.effect {
                // "Will always deny any IAM principal that has a permissions boundary policy attached, regardless of the
                // values": https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
                Effect::Deny if has_boundary => vec![(Truth::Yes, NamedAs::Role)],
                // "You must also specify the account ARN of the principal": otherwise the Deny applies to its account.
                // If a session is listed together with its role, only that session is exempt.
                Effect::Deny if is_caller && has_account => {
                    let sessions = listed.into_iter().filter(|(truth, _)| *truth == Truth::Maybe);
                    sessions.map(|_| (Truth::Maybe, NamedAs::Role)).collect()
                }
                Effect::Allow if is_caller || has_account && !listed.is_empty() => Vec::new(),
                _ => vec![(Truth::Yes, NamedAs::Role)],
            }
        }
        // Services reject a statement without a principal in these policies.
        None => vec![(Truth::Yes, NamedAs::Role)],
    }
}

/// Checks whether a statement names its principals by a condition on `aws:PrincipalArn`. Permissions boundaries and
/// session policies do not limit what such a statement allows a role:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles>.
fn names_by_condition(statement: &Statement) -> bool {
    statement.conditions.iter().any(|condition| {
        let operator = condition.operator.to_ascii_lowercase();
        condition.key.eq_ignore_ascii_case("aws:PrincipalArn")
            && !operator.contains("not")
            && !operator.contains("ifexists")
            && operator != "null"
    })
}

fn lists_everybody(listed: &Principals) -> bool {
    listed.0.get("AWS").is_some_and(|ids| ids.iter().any(|id| id == "*"))
}

fn listed_as(listed: &Principals, caller: &Caller) -> Vec<(Truth, NamedAs)> {
    let type_name = if caller.kind == CallerKind::Service { "Service" } else { "AWS" };
    let ids = |name: &str| listed.0.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut found: Vec<_> = ids(type_name).iter().filter_map(|id| named_by_id(id, caller)).collect();
    if caller.kind == CallerKind::Service && ids("AWS").iter().any(|id| id == "*") {
        found.push((Truth::Yes, NamedAs::Role));
    }
    found
}

fn named_by_id(id: &str, caller: &Caller) -> Option<(Truth, NamedAs)> {
    if id == "*" {
        return Some((Truth::Yes, if caller.is_role() { NamedAs::Role } else { NamedAs::Itself }));
    }
    if caller.kind == CallerKind::Service {
        return (id == caller.arn).then_some((Truth::Yes, NamedAs::Itself));
    }
    // A policy shows the unique id of a deleted principal; it can also name an existing one that way.
    if !caller.id.is_empty() && id == caller.id {
        return Some((Truth::Yes, if caller.is_role() { NamedAs::Role } else { NamedAs::Itself }));
    }
    let account = id.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next()).unwrap_or(id);
    if account == caller.account && !account.is_empty() {
        return Some((
            Truth::Yes,
            if caller.kind == CallerKind::Root { NamedAs::Itself } else { NamedAs::Account },
        ));
    }
    match &caller.kind {
        CallerKind::Session { role } if same_role(id, role) => Some((Truth::Yes, NamedAs::Role)),
        CallerKind::Role if id == caller.arn => Some((Truth::Yes, NamedAs::Role)),
        // The statement names one session of the role; it may or may not be this one.
        CallerKind::Role => {
            // Parse only ARNs that can match: a key policy may list every role of the account.
            let session = id.contains(":assumed-role/").then(|| Caller::from_arn(id).kind);
            let Some(CallerKind::Session { role }) = session else { return None };
            same_role(&caller.arn, &role).then_some((Truth::Maybe, NamedAs::Itself))
        }
        _ => (id == caller.arn).then_some((Truth::Yes, NamedAs::Itself)),
    }
}

/// Checks whether an ARN is a role's, given the role's ARN without its path, since a session's ARN does not include the
/// path.
fn same_role(arn: &str, pathless: &str) -> bool {
    let (Some((account, path)), Some((same, name))) =
        (arn.split_once(":role/"), pathless.split_once(":role/"))
    else {
        return false;
    };
    account == same && path.rsplit('/').next() == Some(name)
}
