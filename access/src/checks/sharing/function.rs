//! The rotation function: whether it can reach the secret, and what can invoke it.

use crate::audited::Audit;
use crate::condition::Context;
use crate::document::{Condition, Document, Effect, Statement};
use crate::evaluate::{Caller, Named, Outcome, Policies, Request, concerns_action, evaluate, names_caller};
use crate::exposure::is_for_all;
use crate::finding::Findings;
use crate::fix::{command, option};
use crate::reach::READ;
use crate::snapshot::Secret;

pub(super) fn endpoint_only(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    let Some(role) = audit.snapshot.principals.iter().find(|it| it.arn == function.role) else { return };
    for (index, statement) in
        secret.resource_policy.iter().flat_map(|policy| policy.statements.iter().enumerate())
    {
        let from = |it: &&Condition| it.is_on("aws:sourcevpc");
        let Some(condition) = statement.conditions.iter().find(from) else { continue };
        if statement.effect == Effect::Allow || !concerns_action(statement, READ) {
            continue;
        }
        // The evaluator knows the function's VPC. If it is in none, its requests lack the key.
        let is_outside = function.vpc_id.is_none() && condition.operator.contains("Not");
        let decision = audit.account.made_by_itself(secret, role, READ);
        if is_outside || decision.because.iter().any(|cited| std::ptr::eq(cited.statement, statement)) {
            findings
                .add(&function.function_arn, format!("{} denies unless {condition}", statement.title(index)))
                .advise("put the function into that VPC, or exempt its role from the Deny");
        }
    }
}

const SERVICE: &str = "secretsmanager.amazonaws.com";
const INVOKE: &str = "lambda:InvokeFunction";

pub(super) fn function_permission(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    let Some(policy) = &function.policy else { return };
    let arn = function.function_arn.as_str();
    let exposure = audit.account.exposure(policy, INVOKE, arn);
    for (index, statement) in policy.statements.iter().enumerate() {
        let place = statement.title(index);
        // A caller of the function's URL cannot choose the event that Secrets Manager would send.
        let by_url = |it: &Condition| it.is_on("lambda:");
        let is_public =
            is_for_all(statement) && exposure.is_public(index) && !statement.conditions.iter().any(by_url);
        let seen = if is_public {
            format!("{place} lets everyone invoke it")
        } else if exposure.serves_anybody(index, SERVICE) {
            format!("{place} lets Secrets Manager invoke it on behalf of any account")
        } else {
            continue;
        };
        let finding = findings.add(arn, seen);
        let Some(sid) = &statement.sid else {
            finding.advise("replace the statement with one that has aws:SourceAccount");
            continue;
        };
        let remove = command(&["aws", "lambda", "remove-permission", "--function-name", arn]);
        finding.run(format!("{remove} {}", option("--statement-id", sid)));
        let rest = Document::from_json(policy.with_statements(index, Vec::new()));
        finding.run(permit(arn, &audit.snapshot.account, rest.ok().as_ref()));
        if is_for_all(statement) {
            finding.advise(
                "anything else that invokes the function through this statement loses access: allow it first",
            );
        }
    }
}

/// The command that lets Secrets Manager invoke a function for the account's secrets, in addition to its policy.
fn permit(function: &str, account: &str, policy: Option<&Document>) -> String {
    const SID: &str = "SecretsManagerRotation";
    let sid = policy.map_or(SID.to_owned(), |policy| policy.free_sid(SID));
    let words = ["aws", "lambda", "add-permission", "--function-name", function, "--statement-id", &sid];
    let whom = ["--action", INVOKE, "--principal", SERVICE, "--source-account", account];
    command(&[&words[..], &whom].concat())
}

pub(super) fn function_not_permitted(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    let arn = function.function_arn.as_str();
    if secret.rotation_lambda_arn.as_ref().is_some_and(|invoked| invoked != arn) {
        findings
            .not_known("lambda:GetPolicy", "the policies of a function's aliases and versions are not read");
        return;
    }
    let caller = Caller::from_arn(SERVICE);
    let context = rotation(audit, secret);
    let account = &audit.snapshot.account;
    let request = Request {
        caller: &caller,
        action: INVOKE,
        resource: arn,
        resource_account: account,
        context: &context,
    };
    let document = function.policy.as_ref();
    let resource = document.map(|document| Named { name: "of the function", document });
    let decision = evaluate(&request, &Policies { resource, ..Policies::default() });
    if decision.outcome != Outcome::Denied {
        return;
    }
    if let Some(deny) = decision.because.first() {
        findings
            .add(arn, format!("{} denies invoking it to {SERVICE}", deny.statement.title(deny.index)))
            .advise("remove the Deny, or exempt Secrets Manager from it");
        return;
    }
    let names = |it: &&Statement| {
        it.effect == Effect::Allow && names_caller(it, &caller) && concerns_action(it, INVOKE)
    };
    let statements = document.into_iter().flat_map(|policy| &policy.statements);
    let conditions: Vec<_> =
        statements.filter(names).flat_map(|it| &it.conditions).map(ToString::to_string).collect();
    let only = if conditions.is_empty() {
        String::new()
    } else {
        format!(" for this secret, only with {}", conditions.join(", "))
    };
    findings
        .add(arn, format!("no statement allows {SERVICE} to invoke it{only}"))
        .run(permit(arn, account, document));
}

/// The request context when Secrets Manager invokes a rotation function.
fn rotation(audit: &Audit<'_>, secret: &Secret) -> Context {
    let snapshot = audit.snapshot;
    let mut context = Context::open();
    if let Some(now) = snapshot.taken_at {
        context.set_from("aws:CurrentTime", now);
        context.set_from("aws:EpochTime", now);
    }
    context.set("aws:SourceArn", &secret.arn);
    context.set("aws:SourceAccount", &snapshot.account);
    if let Some(organization) = &snapshot.organization_id {
        context.set("aws:SourceOrgID", organization);
    }
    context.set("aws:PrincipalIsAWSService", "true");
    context.set("aws:PrincipalServiceName", SERVICE);
    context.set("aws:SecureTransport", "true");
    context.set("aws:ResourceAccount", &snapshot.account);
    ["aws:Principal", "lambda:"].iter().for_each(|prefix| context.close(prefix));
    context
}
