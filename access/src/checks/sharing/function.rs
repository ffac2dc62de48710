//! The rotation function: whether it reaches the secret, and who may invoke it.

use super::place;
use crate::audited::Audit;
use crate::document::{Effect, Statement};
use crate::evaluate::concerns_action;
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
        let from =
            |it: &&crate::document::Condition| it.key.to_ascii_lowercase().starts_with("aws:sourcevpc");
        let Some(condition) = statement.conditions.iter().find(from) else { continue };
        if statement.effect == Effect::Allow || !concerns_action(statement, READ) {
            continue;
        }
        // The evaluator knows the function's VPC; outside of any the key is absent from its requests.
        let is_outside = function.vpc_id.is_none() && condition.operator.contains("Not");
        let decision = audit.account.made_by_itself(secret, role, READ);
        if is_outside || decision.because.iter().any(|cited| std::ptr::eq(cited.statement, statement)) {
            findings
                .add(&function.function_arn, format!("{} denies unless {condition}", place(statement, index)))
                .advise("put the function into that VPC, or exempt its role from the Deny");
        }
    }
}

const SERVICE: &str = "secretsmanager.amazonaws.com";

fn invocations(function: &crate::snapshot::Function) -> impl Iterator<Item = &Statement> {
    let statements = function.policy.iter().flat_map(|policy| &policy.statements);
    statements.filter(|statement| {
        let services = statement.principal.iter().flat_map(|scope| scope.listed().0.get("Service")).flatten();
        statement.effect == Effect::Allow
            && services.into_iter().any(|service| service == SERVICE)
            && concerns_action(statement, "lambda:InvokeFunction")
    })
}

pub(super) fn function_permission(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    for statement in invocations(function) {
        let keys = ["aws:sourceaccount", "aws:sourcearn"];
        if statement.conditions.iter().any(|it| keys.contains(&it.key.to_ascii_lowercase().as_str())) {
            continue;
        }
        let arn = function.function_arn.as_str();
        let finding = findings.add(arn, "the permission for Secrets Manager has no aws:SourceAccount");
        if let Some(sid) = &statement.sid {
            let remove = command(&["aws", "lambda", "remove-permission", "--function-name", arn]);
            finding.run(format!("{remove} {}", option("--statement-id", sid)));
        }
        finding.run(permit(arn, &audit.snapshot.account));
    }
}

fn permit(function: &str, account: &str) -> String {
    command(&[
        "aws",
        "lambda",
        "add-permission",
        "--function-name",
        function,
        "--statement-id",
        "SecretsManagerRotation",
        "--action",
        "lambda:InvokeFunction",
        "--principal",
        SERVICE,
        "--source-account",
        account,
    ])
}

pub(super) fn function_not_permitted(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(function) = audit.account.rotation_function(secret) else { return };
    if invocations(function).next().is_none() {
        let run = permit(&function.function_arn, &audit.snapshot.account);
        findings.add(&function.function_arn, format!("no statement allows {SERVICE} to invoke it")).run(run);
    }
}
