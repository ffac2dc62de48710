//! Rotation: whether it is on, whether it works, and whether its strategy suits the clients.

use super::{Check, Find, days};
use crate::audited::Audit;
use crate::finding::{Findings, Severity};
use crate::fix::{command, id_of, quote};
use crate::snapshot::{Secret, Version};

const LIST: &[&str] = &["secretsmanager:ListSecrets"];
const VERSIONS: &[&str] = &["secretsmanager:ListSecrets", "secretsmanager:ListSecretVersionIds"];
const FUNCTIONS: &[&str] = &["secretsmanager:ListSecrets", "lambda:ListFunctions"];

/// The longest interval that the benchmarks allow.
const MOST_DAYS: i64 = 90;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "rotation.off",
        severity: Severity::Medium,
        title: "Rotation is not configured",
        why: "If a credential never changes, a stolen copy works forever.",
        fix: "Turn rotation on, with AWS's function or ours (`make lambda`). Or run `secretcache rotate --due` in a \
              job and name the job's role when you audit: `--rotated-by ARN`. For the secrets that this role can \
              rotate, the age of the current version then decides (`rotation.old`). No tag can say this, because \
              others may be able to set tags.",
        needs: LIST,
        counterparts: &[
            "Security Hub SecretsManager.1",
            "AWS Config secretsmanager-rotation-enabled-check",
            "prowler secretsmanager_automatic_rotation_enabled",
            "checkov CKV2_AWS_57",
            "cfn-guard SECRETSMANAGER_ROTATION_ENABLED_CHECK",
            "cdk-nag AwsSolutions-SMG4",
            "steampipe secretsmanager_secret_automatic_rotation_enabled",
            "stave CTL.SECRETS.ROTATION.001",
            "Trend Conformity SecretsManager-002",
        ],
        find: Find::Secret(off),
    },
    Check {
        id: "rotation.function-missing",
        severity: Severity::High,
        title: "The rotation function does not exist",
        why: "Rotation is on but can never run. Other tools report it as configured.",
        fix: "Deploy the function again, or configure another one.",
        needs: FUNCTIONS,
        counterparts: &[
            "stave CTL.SECRETS.GHOST.ROTATIONLAMBDA",
            "steampipe secretsmanager_secret_automatic_rotation_lambda_enabled",
        ],
        find: Find::Secret(function_missing),
    },
    Check {
        id: "rotation.never",
        severity: Severity::Medium,
        title: "Rotation is on but has never succeeded",
        why: "A successful rotation proves that function, network, permissions and database work together. This secret \
              has had none.",
        fix: "Start a rotation yourself, and check the function's log for the step that fails.",
        needs: LIST,
        counterparts: &[
            "stave CTL.SECRETS.ROTATION.NEVER",
            "AWS Config secretsmanager-scheduled-rotation-success-check",
        ],
        find: Find::Secret(never),
    },
    Check {
        id: "rotation.overdue",
        severity: Severity::High,
        title: "The rotation is overdue",
        why: "NextRotationDate has passed without a rotation. Secrets Manager retries a failing rotation without \
              notifying anyone.",
        fix: "Start a rotation yourself, and check the function's log for the step that fails.",
        needs: LIST,
        counterparts: &[
            "Security Hub SecretsManager.2",
            "AWS Config secretsmanager-scheduled-rotation-success-check",
            "steampipe secretsmanager_secret_rotated_as_scheduled",
            "stave CTL.SECRETS.ROTATION.STALE",
            "stave CTL.SECRETS.ALARM.ROTATION.APPROACHING (an alarm before the date)",
        ],
        find: Find::Secret(overdue),
    },
    Check {
        id: "rotation.old",
        severity: Severity::Medium,
        title: "The value is older than 90 days",
        why: "Most standards ask for a change at least every 90 days.",
        fix: "Rotate the secret.",
        needs: VERSIONS,
        counterparts: &[
            "Security Hub SecretsManager.4",
            "AWS Config secretsmanager-secret-periodic-rotation",
            "prowler secretsmanager_secret_rotated_periodically",
            "steampipe secretsmanager_secret_last_changed_90_day",
            "steampipe secretsmanager_secret_last_changed_365_day",
            "AWS Config SECRETSMANAGER_MAX_SECRET_AGE",
        ],
        find: Find::Secret(old),
    },
    Check {
        id: "rotation.interval",
        severity: Severity::Low,
        title: "The schedule allows more than 90 days between rotations",
        why: "A leaked credential works until the next rotation.",
        fix: "Choose a shorter schedule.",
        needs: LIST,
        counterparts: &[
            "checkov CKV_AWS_304",
            "stave CTL.SECRETS.ROTATION.INTERVAL.LONG",
            "Trend Conformity SecretsManager-003",
            "Security Hub SecretsManager.1 maximumAllowedRotationFrequency",
        ],
        find: Find::Secret(interval),
    },
    Check {
        id: "rotation.window",
        severity: Severity::Info,
        title: "Nothing limits the hours in which the secret rotates",
        why: "Without a Duration or a cron() schedule, the service can rotate at any time of day. A single-user \
              rotation refuses logins for a few seconds.",
        fix: "Give the schedule a cron() expression and a Duration.",
        needs: LIST,
        counterparts: &[],
        find: Find::Secret(window),
    },
    Check {
        id: "rotation.pending",
        severity: Severity::High,
        title: "A rotation was interrupted",
        why: "AWSPENDING has been on another version than AWSCURRENT for more than an hour. RotateSecret now only \
              retries that version, and the database may already have the new password.",
        fix: "Check with `secretcache status`, then resume the rotation or recover the secret. Do not just remove \
              AWSPENDING: if the database has the new password, it would be lost.",
        needs: VERSIONS,
        counterparts: &[],
        find: Find::Secret(pending),
    },
    Check {
        id: "rotation.strategy",
        severity: Severity::Low,
        title: "The strategy does not suit the clients",
        why: "A single-user rotation changes the password that clients are using: until they read the secret again, \
              their new connections are refused. Alternating users behind an RDS proxy fail if the proxy does not know \
              the second user.",
        fix: "Alternate two users, or connect clients through secretcache. Behind a proxy, use two passwords for one \
              user, or register the secrets of both users.",
        needs: &[
            "lambda:ListFunctions",
            "rds:DescribeDBProxies",
            "ecs:ListTaskDefinitions",
            "ecs:DescribeTaskDefinition",
        ],
        counterparts: &["stave CTL.SECRETS.ROTATION.SINGLEUSER.PROD"],
        find: Find::Secret(strategy),
    },
    Check {
        id: "rotation.previous-old",
        severity: Severity::Info,
        title: "AWSPREVIOUS is older than 180 days",
        why: "The old value stays readable. If it was not revoked at the resource, it still works.",
        fix: "Revoke it at the resource (`secretcache revoke-previous` for API keys), or remove the label.",
        needs: VERSIONS,
        counterparts: &["stave CTL.SECRETS.LIFECYCLE.PREVIOUSOLD"],
        find: Find::Secret(previous_old),
    },
];

fn version_with<'a>(secret: &'a Secret, stage: &str) -> Option<&'a Version> {
    secret.versions.iter().find(|version| version.version_stages.iter().any(|it| it == stage))
}

fn rotate(secret: &Secret) -> String {
    command(&["aws", "secretsmanager", "rotate-secret", "--secret-id", &secret.arn])
}

/// The command that sets a schedule. Without --no-rotate-immediately the service would also rotate at once.
fn with_schedule(secret: &Secret) -> String {
    format!(
        "{} --no-rotate-immediately --rotation-rules {}",
        rotate(secret),
        quote(r#"{"ScheduleExpression":"cron(0 3 ? * SUN *)","Duration":"3h"}"#)
    )
}

/// When the first rotation of a new schedule runs.
const AT_NEXT: &str = "The first rotation is on the next Sunday at 3:00 UTC";

fn off(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_rotated = audit.rotates(secret) || secret.is_rotated_elsewhere();
    if is_rotated || secret.deleted_date.is_some() {
        return;
    }
    let function = secret.rotation_lambda_arn.clone().unwrap_or_else(|| {
        let snapshot = audit.snapshot;
        format!(
            "arn:{}:lambda:{}:{}:function:secretcache-rotation",
            snapshot.partition(),
            snapshot.region,
            snapshot.account
        )
    });
    let mut seen = "RotationEnabled is false".to_owned();
    let named = &audit.snapshot.rotated_by;
    if !named.is_empty() {
        seen += &format!("; as far as policies are known, {} cannot read and write it", named.join(" or "));
    }
    findings
        .add(&secret.arn, seen)
        .run(format!("{} --rotation-lambda-arn {}", with_schedule(secret), quote(&function)))
        .advise(format!(
            "the command names a function called secretcache-rotation: replace it with yours; `secretcache adopt` says \
             which strategy fits. {AT_NEXT}. If a job rotates the secret with `secretcache rotate --due`, name its \
             role instead: --rotated-by ARN"
        ));
}

fn function_missing(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(arn) = secret.rotation_lambda_arn.as_deref().filter(|_| secret.rotation_enabled) else { return };
    let is_here = arn.split(':').nth(4) == Some(audit.snapshot.account.as_str())
        && arn.split(':').nth(3) == Some(audit.snapshot.region.as_str());
    if is_here && audit.account.rotation_function(secret).is_none() {
        findings
            .add(arn, "no such function")
            .advise("deploy it, or configure another one with aws secretsmanager rotate-secret");
    }
}

fn never(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_new = secret.created_date.is_none_or(|created| audit.days_since(created) < 1);
    if secret.rotation_enabled
        && secret.last_rotated_date.is_none()
        && !secret.is_rotated_elsewhere()
        && !is_new
    {
        findings.add(&secret.arn, "RotationEnabled, but no LastRotatedDate").run(rotate(secret));
    }
}

fn overdue(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(next) = secret.next_rotation_date.filter(|_| secret.rotation_enabled) else { return };
    // The date is the end of a day, and the window can still be open on that day.
    if audit.days_since(next) >= 1 {
        let seen = format!("due by {next}, {} ago", days(audit.days_since(next)));
        findings.add(&secret.arn, seen).run(rotate(secret));
    }
}

fn old(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if secret.is_rotated_elsewhere() {
        return;
    }
    let current = version_with(secret, "AWSCURRENT").and_then(|version| version.created_date);
    let changed = current.or(secret.last_rotated_date).or(secret.last_changed_date).or(secret.created_date);
    let Some(changed) = changed.filter(|changed| audit.days_since(*changed) > MOST_DAYS) else { return };
    let seen = format!("last changed {} days ago", audit.days_since(changed));
    let finding = findings.add(&secret.arn, seen);
    if secret.rotation_enabled {
        finding.run(rotate(secret));
    } else if let Some(job) = audit.job(&secret.arn) {
        finding.advise(format!(
            "{} should rotate it and has not: `secretcache rotate --config FILE --due --dry-run` shows what is due",
            job.arn
        ));
    } else {
        finding.advise("turn rotation on (see rotation.off), or change the value yourself");
    }
}

/// The longest time between two rotations that the schedule allows, in days. `None` if the schedule does not say.
fn longest_days(secret: &Secret) -> Option<i64> {
    let rules = &secret.rotation_rules;
    let Some(expression) = rules.schedule_expression.as_deref() else {
        return rules.automatically_after_days.map(i64::from);
    };
    if let Some(rate) = expression.strip_prefix("rate(") {
        let (number, unit) = rate.trim_end_matches(')').split_once(' ')?;
        let number: i64 = number.parse().ok()?;
        return Some(if unit.starts_with("day") { number } else { number / 24 });
    }
    let fields: Vec<_> = expression.strip_prefix("cron(")?.trim_end_matches(')').split_whitespace().collect();
    let [_, _, day, month, weekday, _] = fields[..] else { return None };
    let months = match month {
        "*" => 1,
        list => match list.split_once('/') {
            Some((_, step)) => step.parse().ok()?,
            // The widest gap between listed months is at least a year divided by their number.
            None => 12 / i64::try_from(list.split(',').count()).ok()?.clamp(1, 12),
        },
    };
    let is_weekly = weekday != "?" && weekday != "*" && !weekday.contains('#') && !weekday.contains('L');
    let within = if weekday == "*" || day == "*" {
        1
    } else if is_weekly {
        7
    } else {
        31
    };
    Some(if months == 1 { within } else { months * 31 })
}

fn interval(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if let Some(days) = longest_days(secret).filter(|days| secret.rotation_enabled && *days > MOST_DAYS) {
        findings
            .add(&secret.arn, format!("up to {days} days between rotations"))
            .run(with_schedule(secret))
            .advise(format!("the command sets a weekly schedule. {AT_NEXT}"));
    }
}

fn window(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let rules = &secret.rotation_rules;
    let is_free = rules.duration.is_none()
        && !rules.schedule_expression.as_deref().is_some_and(|it| it.starts_with("cron"));
    // If two credentials are valid at once, the hour does not matter.
    let overlaps =
        matches!(strategy_of(audit, secret), Some("alternating-users" | "dual-password" | "api-key"));
    if secret.rotation_enabled && !secret.is_rotated_elsewhere() && is_free && !overlaps {
        let was = match (&rules.schedule_expression, rules.automatically_after_days) {
            (Some(expression), _) => Some(format!("by {expression}")),
            (None, Some(count)) if count > 0 => Some(format!("every {}", days(count.into()))),
            _ => None,
        };
        let was = was.filter(|_| longest_days(secret) != Some(7));
        let was = was.map(|was| format!("the secret then rotates every week, not {was}. "));
        findings
            .add(&secret.arn, "no Duration and no cron() schedule")
            .run(with_schedule(secret))
            .advise(was.unwrap_or_default() + AT_NEXT);
    }
}

fn pending(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const HOUR: i64 = 3600;
    let Some(version) = version_with(secret, "AWSPENDING") else { return };
    let is_current = version.version_stages.iter().any(|stage| stage == "AWSCURRENT");
    let since = version.created_date.or(secret.last_changed_date);
    let is_fresh = since.is_some_and(|since| audit.now.as_second() - since.as_second() < HOUR);
    if is_current || is_fresh {
        return;
    }
    let what = if version.is_empty { "has no value" } else { "is not current" };
    findings
        .add(&secret.arn, format!("version {} is AWSPENDING and {what}", version.version_id))
        .run(command(&["secretcache", "rotate", id_of(secret), "--resume"]))
        .advise(format!("first see `{}`", command(&["secretcache", "status", id_of(secret)])));
}

/// The strategy, from the function's settings or its name.
fn strategy_of<'a>(audit: &Audit<'a>, secret: &Secret) -> Option<&'a str> {
    let set = audit.account.rotation_function(secret).and_then(|function| function.strategy.as_deref());
    let arn = secret.rotation_lambda_arn.as_deref().unwrap_or_default();
    set.or_else(|| arn.contains("SingleUser").then_some("single-user"))
        .or_else(|| arn.contains("MultiUser").then_some("alternating-users"))
}

fn strategy(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let strategy = strategy_of(audit, secret);
    let is_single = strategy == Some("single-user");
    let is_alternating = strategy == Some("alternating-users");
    let proxies = audit.snapshot.proxies.iter().filter(|proxy| proxy.secret_arns.contains(&secret.arn));
    let behind = proxies.map(|proxy| proxy.name.as_str()).next();
    if let (true, Some(proxy)) = (is_alternating, behind) {
        findings.add(&secret.arn, format!("alternates two users behind the RDS proxy {proxy}")).advise(
            "rotate with --strategy dual-password, or register a secret for each user with the proxy",
        );
    }
    let tasks = audit.snapshot.task_definitions.iter();
    let services = tasks.filter(|task| task.secrets.iter().any(|it| it.starts_with(&secret.arn))).count();
    let is_production = secret.name.split('/').any(|part| part.starts_with("prod"))
        || secret
            .tags
            .iter()
            .any(|(name, value)| name.to_lowercase().starts_with("env") && value.starts_with("prod"));
    if is_single && (services > 0 || behind.is_some() || is_production) {
        findings
            .add(&secret.arn, "single user, and its clients keep connections open")
            .advise("alternate two users, use two passwords at a time, or connect through secretcache");
    }
}

fn previous_old(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const MOST: i64 = 180;
    let Some(version) = version_with(secret, "AWSPREVIOUS") else { return };
    if version.created_date.is_some_and(|created| audit.days_since(created) > MOST) {
        let words = ["aws", "secretsmanager", "update-secret-version-stage", "--secret-id", &secret.arn];
        let end = ["--version-stage", "AWSPREVIOUS", "--remove-from-version-id", &version.version_id];
        findings
            .add(&secret.arn, format!("version {} is AWSPREVIOUS", version.version_id))
            .run(command(&[&words[..], &end].concat()));
    }
}
