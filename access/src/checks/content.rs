//! The secret's value, if the collector was allowed to read it (`--login`). The value itself is not kept.

use super::{Check, Find};
use crate::audited::Audit;
use crate::finding::{Findings, Severity};
use crate::fix::command;
use crate::snapshot::{Content, Secret};

const VALUE: &[&str] = &["secretsmanager:GetSecretValue"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "content.login",
        severity: Severity::High,
        title: "The current version cannot log in",
        why: "Programs that read the secret cannot connect.",
        fix: "See which version works with `secretcache status`, then restore it with `secretcache recover`.",
        needs: VALUE,
        counterparts: &[],
        find: Find::Secret(login),
    },
    Check {
        id: "content.engine",
        severity: Severity::Medium,
        title: "The value has no engine field, which AWS's rotation function requires",
        why: "AWS's functions fail with KeyError: 'engine' in setSecret. Secrets created as most articles show lack this field.",
        fix: "Add \"engine\" to the value, or rotate with secretcache, which detects the engine.",
        needs: VALUE,
        counterparts: &[],
        find: Find::Secret(engine),
    },
    Check {
        id: "content.tls",
        severity: Severity::Medium,
        title: "The value has no ssl field, so AWS's rotation function may log in without TLS",
        why: "Without the field, the function tries TLS and, if that fails for any reason, sends the user, the \
              password and the new password in clear text.",
        fix: "Add \"ssl\": true to the value.",
        needs: VALUE,
        counterparts: &[],
        find: Find::Secret(tls),
    },
    Check {
        id: "content.fields",
        severity: Severity::Medium,
        title: "The value lacks a field that rotating this database needs",
        why: "Rotation needs host, username and password.",
        fix: "Add the missing fields.",
        needs: VALUE,
        counterparts: &[],
        find: Find::Secret(fields),
    },
    Check {
        id: "content.shared-credential",
        severity: Severity::Medium,
        title: "Two secrets hold the same credential",
        why: "Rotating one of them locks out the readers of the other.",
        fix: "Move all readers to one secret and delete the other, or create a separate user for each.",
        needs: VALUE,
        counterparts: &["stave CTL.SECRETS.CROSSACCOUNT.VALUECOPIED (between accounts)"],
        find: Find::Secret(shared),
    },
];

/// Whether the rotation function has a name that AWS's templates give to functions for databases.
fn is_of_aws(secret: &Secret) -> bool {
    secret.rotation_lambda_arn.as_deref().is_some_and(|arn| arn.contains("SecretsManager"))
}

/// The value's description, if it was read and is a database credential.
fn database(secret: &Secret) -> Option<&Content> {
    let content = secret.content.as_ref()?;
    content.fields.iter().any(|field| field == "password").then_some(content)
}

fn has(content: &Content, field: &str) -> bool {
    content.fields.iter().any(|it| it == field)
}

fn login(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if let Some(content) = secret.content.as_ref().filter(|content| content.current_logs_in == Some(false)) {
        let reason = content.login_failure.as_deref().unwrap_or("refused");
        findings.add(&secret.arn, reason).run(command(&["secretcache", "recover", &secret.name]));
    }
}

fn engine(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if database(secret).is_some_and(|content| content.engine.is_none())
        && is_of_aws(secret)
        && secret.owning_service.is_none()
    {
        findings.add(&secret.arn, "no field engine").advise("add \"engine\" to the value");
    }
}

fn tls(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if database(secret).is_some_and(|content| !has(content, "ssl"))
        && is_of_aws(secret)
        && secret.owning_service.is_none()
    {
        findings.add(&secret.arn, "no field ssl").advise("add \"ssl\": true to the value");
    }
}

fn fields(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(content) = database(secret).filter(|_| audit.rotates(secret) && secret.owning_service.is_none())
    else {
        return;
    };
    let missing: Vec<_> = ["host", "username"].into_iter().filter(|field| !has(content, field)).collect();
    if !missing.is_empty() {
        findings.add(&secret.arn, format!("no field {}", missing.join(", "))).advise("add them to the value");
    }
}

fn shared(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    fn print(secret: &Secret) -> Option<&str> {
        secret.content.as_ref()?.credential_fingerprint.as_deref()
    }
    let Some(own) = print(secret) else { return };
    let is_same = |it: &&Secret| it.arn != secret.arn && print(it) == Some(own);
    let others: Vec<_> =
        audit.snapshot.secrets.iter().filter(is_same).map(|other| other.name.as_str()).collect();
    let names = match others.as_slice() {
        [] => return,
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        few => few.join(", "),
    };
    findings
        .add(&secret.arn, format!("same user on the same host as {names}"))
        .advise("keep one secret per user of a database");
}
