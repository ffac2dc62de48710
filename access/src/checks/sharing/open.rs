//! Secrets that any principal of the account can read if its identity policy allows it.

use serde_json::json;

use crate::audited::Audit;
use crate::condition::Truth;
use crate::document::{Condition, Effect, Scope};
use crate::evaluate::{
    Caller, CallerKind, Outcome, Request, concerns_action, concerns_resource, conditions_hold, names_caller,
};
use crate::exposure::is_for_all;
use crate::finding::Findings;
use crate::fix::put_resource_policy;
use crate::reach::{Outsider, READ};
use crate::snapshot::{Principal, Secret};

pub(super) fn open_to_account(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    // The policy of a managed secret cannot be set here.
    if secret.owning_service.is_some() {
        return;
    }
    if keeps_others_out(audit, secret) {
        return;
    }
    let readers = audit.readers(secret).iter().filter(|reader| reader.outcome != Outcome::Denied);
    let readers: Vec<_> = readers.map(|reader| reader.principal).collect();
    // An administrator's role that a program runs as reads like any program. Other administrators can still change the
    // policy.
    let is_kept = |principal: &&&Principal| {
        !audit.is_administrator(principal) || audit.is_rotator(principal) || audit.runs_something(principal)
    };
    let mut named: Vec<_> = readers.iter().filter(is_kept).map(|it| it.arn.as_str()).collect();
    // The rotation must not be locked out, even if its role lacks a permission now.
    let rotation = audit.account.rotation_function(secret).map(|function| function.role.as_str());
    named.extend(rotation.filter(|role| !readers.iter().any(|it| it.arn == *role)));
    let is_rotated_elsewhere = secret.rotation_lambda_arn.is_some() && rotation.is_none();
    let kept_out: Vec<_> = readers.iter().filter(|it| !is_kept(it)).map(|it| it.arn.as_str()).collect();
    let administrators = readers.iter().filter(|it| audit.is_administrator(it)).count();
    let who = if audit.denied.contains(&("iam:GetAccountAuthorizationDetails", "")) {
        "who can read it is not known".to_owned()
    } else {
        let count = readers.len();
        let principals = if count == 1 { "principal" } else { "principals" };
        format!(
            "{count} {principals} can read it, {administrators} of them through a policy that allows everything"
        )
    };
    let seen = format!("nothing denies reads to others; {who}");
    let finding = findings.add(&secret.arn, seen);
    // Principals of other accounts that the policy lets in keep their access.
    let outsiders = audit.account.outsiders(secret);
    let (services, others): (Vec<_>, Vec<_>) = outsiders.iter().partition(|it| it.kind == "Service");
    let foreign: Option<Vec<_>> =
        others.iter().map(|it| as_principal_arn(audit.snapshot.partition(), it)).collect();
    let has_federated = !audit.account.federated_users(secret).is_empty();
    // The Deny would lock out any reader that the audit does not know of.
    let is_partly_known = is_rotated_elsewhere
        || !audit.knows_who_runs()
        || audit.snapshot.principals.iter().any(|it| audit.account.has_unknown(it));
    let foreign =
        foreign.filter(|_| !named.is_empty() && named.len() <= 20 && !has_federated && !is_partly_known);
    let Some(foreign) = foreign else {
        finding.advise("decide who reads it, then add the Deny printed by `secretcache policy resource`");
        return;
    };
    named.extend(foreign.iter().map(String::as_str));
    let sid = "OnlyTheseRead";
    let sid = secret.resource_policy.as_ref().map_or(sid.to_owned(), |policy| policy.free_sid(sid));
    let mut deny = json!({"Sid": sid, "Effect": "Deny", "Principal": "*",
        "Action": ["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"], "Resource": "*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": named}}});
    if !services.is_empty() {
        // A service has no such ARN, so the negated condition would match it.
        deny["Condition"]["Bool"] = json!({"aws:PrincipalIsAWSService": "false"});
    }
    let document = match &secret.resource_policy {
        Some(policy) => {
            let mut json = policy.with_added(deny);
            json["Version"] = json!("2012-10-17");
            json
        }
        None => json!({"Version": "2012-10-17", "Statement": [deny]}),
    };
    finding.run(put_resource_policy(&secret.arn, &document));
    if let Some((first, rest)) = kept_out.split_first() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        finding.advise(format!(
            "the Deny keeps out the administrators that no program is known to run as ({first}{more}); add those that \
             must read the value to aws:PrincipalArn. All of them can still change the policy"
        ));
    }
}

/// Whether Denies of the resource policy keep out all principals of the account that it does not name. Tested with
/// made-up ones.
fn keeps_others_out(audit: &Audit<'_>, secret: &Secret) -> bool {
    let Some(policy) = &secret.resource_policy else { return false };
    let excepts = |it: &Condition| {
        let keys = ["aws:principalarn", "aws:userid", "aws:principaltag", "aws:principalaccount"];
        let key = it.key.to_ascii_lowercase();
        it.operator.contains("Not") && keys.iter().any(|prefix| key.starts_with(prefix))
    };
    let denies: Vec<_> = policy
        .statements
        .iter()
        .filter(|it| it.effect == Effect::Deny && concerns_action(it, READ))
        .filter(|it| {
            matches!(it.principal, Some(Scope::AllBut(_)))
                || is_for_all(it) && it.conditions.iter().any(excepts)
        })
        .collect();
    let account = &audit.snapshot.account;
    let made_up = |(kind, id): &(&str, &str)| Principal {
        arn: format!("arn:{}:iam::{account}:{kind}", audit.snapshot.partition()),
        id: (*id).to_owned(),
        ..Principal::default()
    };
    let others = [
        ("role/zq7xkj", "AROAZQ7XKJ0000000000"),
        ("role/w5/zq7xkj", "AROAZQ7XKJ1111111111"),
        ("user/zq7xkj", "AIDAZQ7XKJ2222222222"),
    ];
    others.iter().map(made_up).all(|principal| {
        let caller = Caller::from_arn(&principal.arn).with_id(&principal.id);
        let mut context = audit.account.context_of(&principal, &caller, None);
        audit.account.add_secret(&mut context, secret);
        // A Deny that starts later keeps nobody out yet, and neither does one only for requests made by services.
        context.set("aws:CurrentTime", audit.now.to_string());
        context.set("aws:EpochTime", audit.now.as_second().to_string());
        context.set("aws:ViaAWSService", "false");
        let request = Request {
            caller: &caller,
            action: READ,
            resource: &secret.arn,
            resource_account: account,
            context: &context,
        };
        // Conditions on the request, such as its address, are not judged here.
        denies.iter().any(|deny| {
            names_caller(deny, &caller)
                && concerns_resource(deny, &request, policy.has_variables) != Truth::No
                && conditions_hold(deny, &context, policy.has_variables) != Truth::No
        })
    })
}

/// A pattern of `aws:PrincipalArn` for a principal or an account. `None` if there is none: for everyone, for a unique
/// id, and for holders of an identity provider's tokens.
fn as_principal_arn(partition: &str, outsider: &Outsider) -> Option<String> {
    let id = outsider.principal.as_str();
    let account = id.split(':').nth(4).unwrap_or(id);
    if outsider.kind != "AWS" || account.len() != 12 || !account.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    match Caller::from_arn(id).kind {
        // A session's ARN lacks the path of its role.
        CallerKind::Session { role } => Some(role.replace(":role/", ":role/*")),
        CallerKind::Role => Some(id.to_owned()),
        CallerKind::User if id.contains(":user/") => Some(id.to_owned()),
        CallerKind::User if id.contains('/') => None,
        _ => Some(format!("arn:{partition}:iam::{account}:*")),
    }
}
