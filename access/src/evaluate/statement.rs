//! What one statement says to a request: whether it is about the action, the resource and the caller, and whether its
//! conditions hold.

use super::{Caller, CallerKind, Request};
use crate::condition::{Context, Expanded, Truth, expand, holds};
use crate::document::{Effect, Principals, Scope, Statement};
use crate::pattern::{matches, matches_ignoring_case};

/// How a policy of a resource means the caller.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Means {
    /// Its account, which passes the decision on to identity policies.
    Account,
    /// Everybody, or the caller's role.
    Role,
    /// The caller's own ARN: nothing of its own restricts such a grant.
    Itself,
}

/// Whether a statement is about an action.
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
        // As in trust policies, which are about the resource that they belong to.
        None => Truth::Yes,
    }
}

/// Whether all conditions of a statement hold.
pub(crate) fn conditions_hold(statement: &Statement, context: &Context, has_variables: bool) -> Truth {
    let truths = statement.conditions.iter().map(|condition| holds(condition, context, has_variables));
    truths.min().unwrap_or(Truth::Yes)
}

/// Whether a statement of a resource's policy is about a caller, as far as its principals say.
pub(crate) fn means_caller(statement: &Statement, caller: &Caller) -> bool {
    !means(statement, caller, false).is_empty()
}

/// How a statement means the caller; more than one where it is listed more than once.
pub(super) fn means(statement: &Statement, caller: &Caller, has_boundary: bool) -> Vec<(Truth, Means)> {
    match &statement.principal {
        Some(Scope::Only(listed)) => {
            let mut found = listed_means(listed, caller);
            if caller.is_role() && names_by_condition(statement) && lists_everybody(listed) {
                found.push((Truth::Yes, Means::Itself));
            }
            found
        }
        Some(Scope::AllBut(listed)) => {
            let listed = listed_means(listed, caller);
            let lists =
                |wanted: Means| listed.iter().any(|(truth, means)| *means >= wanted && *truth == Truth::Yes);
            let is_caller = lists(Means::Role);
            let has_account =
                listed.iter().any(|(_, means)| *means == Means::Account) || caller.account.is_empty();
            match statement.effect {
                // "Will always deny any IAM principal that has a permissions boundary policy attached, regardless of the
                // values": https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
                Effect::Deny if has_boundary => vec![(Truth::Yes, Means::Role)],
                // "You must also specify the account ARN of the principal": otherwise the denial hits its account.
                // Beside its role, one session is spared alone.
                Effect::Deny if is_caller && has_account => {
                    let sessions = listed.into_iter().filter(|(truth, _)| *truth == Truth::Maybe);
                    sessions.map(|_| (Truth::Maybe, Means::Role)).collect()
                }
                Effect::Allow if is_caller || has_account && !listed.is_empty() => Vec::new(),
                _ => vec![(Truth::Yes, Means::Role)],
            }
        }
        // An endpoint's policy without a principal is refused by the service; so is any other.
        None => vec![(Truth::Yes, Means::Role)],
    }
}

/// Whether a statement names its principals by `aws:PrincipalArn` instead: what it allows to a role so is not limited by what a
/// permissions boundary or a session policy leaves out:
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

fn listed_means(listed: &Principals, caller: &Caller) -> Vec<(Truth, Means)> {
    let type_name = if caller.kind == CallerKind::Service { "Service" } else { "AWS" };
    let ids = |name: &str| listed.0.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut found: Vec<_> = ids(type_name).iter().filter_map(|id| id_means(id, caller)).collect();
    if caller.kind == CallerKind::Service && ids("AWS").iter().any(|id| id == "*") {
        found.push((Truth::Yes, Means::Role));
    }
    found
}

fn id_means(id: &str, caller: &Caller) -> Option<(Truth, Means)> {
    if id == "*" {
        return Some((Truth::Yes, if caller.is_role() { Means::Role } else { Means::Itself }));
    }
    if caller.kind == CallerKind::Service {
        return (id == caller.arn).then_some((Truth::Yes, Means::Itself));
    }
    // The form that is left of a principal that was deleted is the id of any.
    if !caller.id.is_empty() && id == caller.id {
        return Some((Truth::Yes, if caller.is_role() { Means::Role } else { Means::Itself }));
    }
    let account = id.strip_suffix(":root").and_then(|arn| arn.rsplit(':').next()).unwrap_or(id);
    if account == caller.account && !account.is_empty() {
        return Some((
            Truth::Yes,
            if caller.kind == CallerKind::Root { Means::Itself } else { Means::Account },
        ));
    }
    match &caller.kind {
        CallerKind::Session { role } if same_role(id, role) => Some((Truth::Yes, Means::Role)),
        CallerKind::Role if id == caller.arn => Some((Truth::Yes, Means::Role)),
        // Some session of the role is meant; whether it is this one is not known.
        CallerKind::Role => {
            // Looked at closely if it may be one: a key's policy may list every role of the account.
            let session = id.contains(":assumed-role/").then(|| Caller::from_arn(id).kind);
            let Some(CallerKind::Session { role }) = session else { return None };
            same_role(&caller.arn, &role).then_some((Truth::Maybe, Means::Itself))
        }
        _ => (id == caller.arn).then_some((Truth::Yes, Means::Itself)),
    }
}

/// Whether an ARN is that of a role, of which a session's ARN does not tell the path.
fn same_role(arn: &str, pathless: &str) -> bool {
    let (Some((account, path)), Some((same, name))) =
        (arn.split_once(":role/"), pathless.split_once(":role/"))
    else {
        return false;
    };
    account == same && path.rsplit('/').next() == Some(name)
}
