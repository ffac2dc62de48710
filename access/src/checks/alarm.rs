//! Rules of EventBridge and metric alarms: who hears of what happens to a secret.

use serde_json::{Value, json};

use super::{Check, Find, trail};
use crate::audited::Audit;
use crate::event_pattern::takes;
use crate::finding::{Findings, Severity};
use crate::fix::{command, option, quote};
use crate::snapshot::{EventRule, MetricAlarm, Secret, Snapshot};

mod metric;

const ALARMS: &[&str] = &["events:ListRules", "events:ListTargetsByRule", "logs:DescribeMetricFilters"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "trail.rule-state",
        severity: Severity::Medium,
        title: "An EventBridge rule waits for reads that never reach it",
        why: "A rule in state ENABLED gets no read-only management events: Get, List and Describe calls are left out. It looks \
              like an alarm and never fires.",
        fix: "Put the rule into the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.",
        needs: &["events:ListRules"],
        counterparts: &[],
        find: Find::Account(rule_state),
    },
    Check {
        id: "alarm.rotation-failed",
        severity: Severity::Medium,
        title: "There is no alarm for failed or abandoned rotations",
        why: "A failed rotation leaves the old credential in use, and an abandoned one may leave an application locked out.",
        fix: "Create an EventBridge rule for RotationFailed and RotationAbandoned with a target.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.ROTATION.FAILURE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[0])),
    },
    Check {
        id: "alarm.delete",
        severity: Severity::Low,
        title: "There is no alarm for deleted secrets",
        why: "Within the recovery window a deletion can be undone, if somebody notices.",
        fix: "Create an EventBridge rule for DeleteSecret with a target.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.DELETE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[1])),
    },
    Check {
        id: "alarm.policy-change",
        severity: Severity::Low,
        title: "There is no alarm for changed resource policies",
        why: "A changed resource policy is how a secret is opened to others.",
        fix: "Create an EventBridge rule for PutResourcePolicy and DeleteResourcePolicy with a target.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.POLICYCHANGE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[2])),
    },
    Check {
        id: "alarm.put-value",
        severity: Severity::Low,
        title: "There is no alarm for values written by hand",
        why: "Only rotation should write a value; a write by anybody else is a mistake or an attack.",
        fix: "Create an EventBridge rule for PutSecretValue and UpdateSecret with a target.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.PUTVALUE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[3])),
    },
    Check {
        id: "alarm.access-denied",
        severity: Severity::Low,
        title: "There is no alarm for refused reads",
        why: "Refused reads can be the first sign of an intruder, or of a broken application.",
        fix: "Create an EventBridge rule, in the state for all management events, for GetSecretValue with an errorCode.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.ACCESS.FAILURE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[4])),
    },
    Check {
        id: "alarm.access-volume",
        severity: Severity::Low,
        title: "There is no alarm for the number of reads",
        why: "If somebody reads all secrets at once, the number of reads shows it first.",
        fix: "Create a metric filter on the trail's log group for GetSecretValue, with an alarm; or a rule for \
              BatchGetSecretValue and GetSecretValue in the state for all management events.",
        needs: ALARMS,
        counterparts: &[
            "stave CTL.SECRETS.ALARM.ACCESS.VOLUME",
            "elastic GetSecretValue rules",
            "panther",
            "datadog",
        ],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[5])),
    },
];

/// What should be told of, by events that mean it.
struct Alarmed {
    rule: &'static str,
    names: &'static [&'static str],
    is_read: bool,
    is_denied: bool,
}

const ALARMED: [Alarmed; 6] = [
    Alarmed {
        rule: "secrets-rotation-failed",
        names: &["RotationFailed", "RotationAbandoned"],
        is_read: false,
        is_denied: false,
    },
    Alarmed { rule: "secrets-deleted", names: &["DeleteSecret"], is_read: false, is_denied: false },
    Alarmed {
        rule: "secrets-policy-changed",
        names: &["PutResourcePolicy", "DeleteResourcePolicy"],
        is_read: false,
        is_denied: false,
    },
    Alarmed {
        rule: "secrets-value-written",
        names: &["PutSecretValue", "UpdateSecret"],
        is_read: false,
        is_denied: false,
    },
    Alarmed { rule: "secrets-read-denied", names: &["GetSecretValue"], is_read: true, is_denied: true },
    Alarmed { rule: "secrets-read", names: &["GetSecretValue"], is_read: true, is_denied: false },
];

/// A secret, and what a call calls it by.
#[derive(Clone, Copy)]
struct Called<'s> {
    by: &'s str,
    arn: &'s str,
}

const ANY: Called<'static> = Called { by: "any", arn: "any" };

/// How CloudTrail says that a call was refused.
const REFUSALS: [&str; 2] = ["AccessDenied", "AccessDeniedException"];

/// What EventBridge gets when something happens to a secret:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieve-ct-entries.html>. The caller is nobody whom a rule
/// names. A rotation's end is an event of the service's own; all else are calls, in which a secret is called by its name or
/// its ARN. The answer to one that writes has the ARN, spelt `arn` by some and `aRN` by others.
fn event(audit: &Audit<'_>, name: &str, secret: Called<'_>, error: Option<&str>) -> Value {
    let Snapshot { account, region, .. } = audit.snapshot;
    let is_of_service = name.starts_with("Rotation");
    let kind = if is_of_service { "AWS Service Event via CloudTrail" } else { "AWS API Call via CloudTrail" };
    let mut event = json!({"version": "0", "id": "0", "detail-type": kind, "source": "aws.secretsmanager",
        "account": account, "time": audit.now.to_string(), "region": region, "resources": [], "detail": {
            "eventVersion": "1.08", "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
            "eventCategory": "Management", "managementEvent": true, "awsRegion": region,
            "recipientAccountId": account, "readOnly": name.starts_with("Get")}});
    let detail = &mut event["detail"];
    if is_of_service {
        detail["eventType"] = json!("AwsServiceEvent");
        detail["userIdentity"] = json!({"accountId": account, "invokedBy": "secretsmanager.amazonaws.com"});
        detail["additionalEventData"] = json!({"SecretId": secret.arn});
    } else {
        detail["eventType"] = json!("AwsApiCall");
        let session =
            format!("arn:{}:sts::{account}:assumed-role/nobody/session", audit.snapshot.partition());
        detail["userIdentity"] = json!({"type": "AssumedRole", "arn": session, "accountId": account});
        detail["requestParameters"] = json!({"secretId": secret.by});
        if !name.starts_with("Get") && error.is_none() {
            detail["responseElements"] = json!({"arn": secret.arn, "aRN": secret.arn});
        }
    }
    if let Some(code) = error {
        detail["errorCode"] = json!(code);
    }
    event
}

/// Whether a rule hears of an event, and not of everything that any service does.
fn hears(audit: &Audit<'_>, rule: &EventRule, name: &str, secret: Called<'_>, alarmed: &Alarmed) -> bool {
    let Some(pattern) = &rule.event_pattern else { return false };
    let hears = |error| takes(pattern, &event(audit, name, secret, error));
    let is_heard = if alarmed.is_denied {
        // Who hears of every read hears nothing of the refused ones.
        REFUSALS.iter().any(|code| hears(Some(code))) && !hears(None)
    } else {
        hears(None)
    };
    is_heard && !takes(pattern, &of_another_service(audit, name, alarmed))
}

fn of_another_service(audit: &Audit<'_>, name: &str, alarmed: &Alarmed) -> Value {
    let error = REFUSALS.first().copied().filter(|_| alarmed.is_denied);
    let mut event = event(audit, name, ANY, error);
    event["source"] = json!("aws.another");
    event["detail"]["eventSource"] = json!("another.amazonaws.com");
    event["detail"]["eventName"] = json!("Whatever");
    event
}

const ALL_EVENTS: &str = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

fn rule_state(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for rule in audit.snapshot.event_rules.iter().filter(|rule| rule.state == "ENABLED") {
        let Some(pattern) = &rule.event_pattern else { continue };
        // What it asks of events besides their names does not matter: no read reaches it.
        let mut of_names = json!({"detail": {"eventName": pattern["detail"]["eventName"]}});
        for (part, field) in [(&pattern["source"], "source"), (&pattern["detail-type"], "detail-type")] {
            if !part.is_null() {
                of_names[field] = part.clone();
            }
        }
        if !pattern["detail"]["eventSource"].is_null() {
            of_names["detail"]["eventSource"] = pattern["detail"]["eventSource"].clone();
        }
        let takes_name = |name: &str| takes(&of_names, &event(audit, name, ANY, None));
        // Only rules that name a read: one for all events is useful without reads.
        if takes_name("GetSecretValue") && !takes_name("Whatever") {
            findings.add(&rule.name, "state ENABLED, and the pattern names GetSecretValue").run(format!(
                "{} {} --state {ALL_EVENTS} --event-pattern {}",
                command(&["aws", "events", "put-rule"]),
                option("--name", &rule.name),
                quote(&pattern.to_string())
            ));
        }
    }
}

/// How a call, or the service's own event, may name a secret.
fn names<'s>(secret: &'s Secret, event: &str) -> Vec<Called<'s>> {
    let called = |by| Called { by, arn: &secret.arn };
    let all = [called(&secret.arn), called(&secret.name)];
    all[..if event.starts_with("Rotation") { 1 } else { 2 }].to_vec()
}

/// Whether a rule is on, and gets events of this kind.
fn is_on(rule: &EventRule, alarmed: &Alarmed) -> bool {
    let is_on = if alarmed.is_read { rule.state == ALL_EVENTS } else { rule.state.starts_with("ENABLED") };
    is_on && rule.targets != Some(0)
}

/// The event buses to which a rule hands its events on.
fn buses(rule: &EventRule) -> impl Iterator<Item = &str> {
    rule.target_arns.iter().map(String::as_str).filter(|arn| arn.contains(":event-bus/"))
}

/// A rule that hands an event on to another bus, whose own rules say what becomes of it. It may take everything.
fn forwards<'a>(
    audit: &Audit<'a>,
    name: &str,
    secrets: &[&Secret],
    alarmed: &Alarmed,
) -> Option<(&'a EventRule, &'a str)> {
    let error = REFUSALS.first().copied().filter(|_| alarmed.is_denied);
    let takes_all = |rule: &EventRule| {
        let Some(pattern) = &rule.event_pattern else { return false };
        let called = secrets.iter().flat_map(|secret| names(secret, name));
        called.into_iter().all(|called| takes(pattern, &event(audit, name, called, error)))
    };
    let mut rules = audit.snapshot.event_rules.iter().filter(|rule| is_on(rule, alarmed) && takes_all(rule));
    rules.find_map(|rule| Some((rule, buses(rule).next()?)))
}

/// The secrets for whose events nothing is told; one stands for all if no rule tells them apart.
fn unheard<'s>(
    audit: &'s Audit<'_>,
    name: &str,
    alarmed: &Alarmed,
    rules: &[&EventRule],
    filters: &[&MetricAlarm],
    anyone: &'s Secret,
) -> Vec<&'s Secret> {
    let by_secret = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.contains("secretid") || text.contains("responseelements")
    };
    let tells_apart =
        rules.iter().any(|rule| rule.event_pattern.as_ref().is_some_and(|it| by_secret(&it.to_string())))
            || filters.iter().any(|filter| by_secret(&filter.filter_pattern));
    let is_heard = |secret: &&Secret| {
        filters.iter().any(|filter| metric::hears(audit, filter, name, secret, alarmed))
            || names(secret, name)
                .iter()
                .all(|called| rules.iter().any(|rule| hears(audit, rule, name, *called, alarmed)))
    };
    let all = if tells_apart { audit.snapshot.secrets.as_slice() } else { &[] };
    let all = if all.is_empty() { std::slice::from_ref(anyone) } else { all };
    all.iter().filter(|secret| !is_heard(secret)).collect()
}

/// Where else somebody may be told: a trail may write to a log group whose filters are not here.
fn elsewhere(audit: &Audit<'_>, alarmed: &Alarmed) -> String {
    let Snapshot { account, region, .. } = audit.snapshot;
    let here = format!(":logs:{region}:{account}:");
    let mut groups = trail::log_groups(audit, alarmed.is_read).filter(|arn| !arn.contains(&here));
    groups.next().map_or(String::new(), |arn| {
        format!(
            "; a trail writes to {arn}, whose metric filters were not read: an alarm there counts as well"
        )
    })
}

fn alarm(audit: &Audit<'_>, findings: &mut Findings<'_>, alarmed: &Alarmed) {
    let anyone = Secret { arn: "any".to_owned(), name: "any".to_owned(), ..Secret::default() };
    let mut silent = Vec::new();
    let of_trail = |expected: Option<bool>| -> Vec<&MetricAlarm> {
        let filters = audit.snapshot.metric_alarms.iter().filter(|it| metric::fires(it, alarmed));
        filters.filter(|it| metric::is_of_trail(audit, it, alarmed) == expected).collect()
    };
    let (filters, unknown) = (of_trail(Some(true)), of_trail(None));
    // What only goes to another bus, nobody here hears of.
    let is_told = |rule: &&EventRule| {
        is_on(rule, alarmed) && (rule.target_arns.is_empty() || buses(rule).count() < rule.target_arns.len())
    };
    let told: Vec<_> = audit.snapshot.event_rules.iter().filter(is_told).collect();
    let is_logged = trail::logs(audit);
    let rules = if is_logged == Some(true) { told.as_slice() } else { &[] };
    let mut is_deaf = is_logged == Some(false);
    for name in alarmed.names {
        let unheard_with = |rules: &[&EventRule], filters: &[&MetricAlarm]| {
            unheard(audit, name, alarmed, rules, filters, &anyone)
        };
        let unheard = unheard_with(rules, &filters);
        if unheard.is_empty() {
            continue;
        }
        if is_logged.is_none() && unheard_with(&told, &filters).is_empty() {
            let reason = "whether a trail logs, without which rules get no events: the trails are not read";
            findings.not_known("cloudtrail:DescribeTrails", reason);
            continue;
        }
        is_deaf &= unheard_with(&told, &filters).is_empty();
        let forwarded = forwards(audit, name, &unheard, alarmed).filter(|_| is_logged != Some(false));
        if let Some((rule, bus)) = forwarded {
            let reason = format!("the rule {} forwards {name} to {bus}, whose rules are not read", rule.name);
            findings.not_known("events:ListRules", reason);
            continue;
        }
        if let (Some(filter), true) = (unknown.first(), unheard_with(&told, &unknown).is_empty()) {
            let (filter, group) = (&filter.filter_name, &filter.log_group_name);
            let reason = format!(
                "whether the log group {group} of the metric filter {filter} is a trail's: the trails are not read"
            );
            findings.not_known("cloudtrail:DescribeTrails", reason);
            continue;
        }
        match unheard.as_slice() {
            [first, rest @ ..]
                if unheard.len() < audit.snapshot.secrets.len() && first.name != anyone.name =>
            {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                silent.push(format!("{name} of {}{more}", first.name));
            }
            _ => silent.push((*name).to_owned()),
        }
    }
    if silent.is_empty() {
        return;
    }
    if is_deaf {
        let seen = format!("rules for {} get no events: no trail logs", silent.join(", "));
        findings.add(format!("account {}", audit.snapshot.account), seen).advise(
            "turn on a trail (trail.none, trail.not-logging): EventBridge gets these events by way of it",
        );
        return;
    }
    let mut detail = json!({"eventSource": ["secretsmanager.amazonaws.com"], "eventName": alarmed.names});
    if alarmed.is_denied {
        detail["errorCode"] = json!([{"exists": true}]);
    }
    let pattern = json!({"source": ["aws.secretsmanager"], "detail": detail}).to_string();
    let state = if alarmed.is_read { ALL_EVENTS } else { "ENABLED" };
    let rule = alarmed.rule;
    let (partition, region, account) =
        (audit.snapshot.partition(), &audit.snapshot.region, &audit.snapshot.account);
    let topic = format!("arn:{partition}:sns:{region}:{account}:secrets");
    findings
        .add(
            format!("account {account}"),
            format!(
                "no rule and no alarm for {}{}",
                silent.join(", "),
                metric::silent_alarms(audit, alarmed)
            ),
        )
        .run(format!(
            "{} --state {state} --event-pattern {} && {}",
            command(&["aws", "events", "put-rule", "--name", rule]),
            quote(&pattern),
            command(&[
                "aws",
                "events",
                "put-targets",
                "--rule",
                rule,
                "--targets",
                &format!("Id=sns,Arn={topic}")
            ])
        ))
        .advise(format!(
            "use your own target: the command names an SNS topic called secrets{}{}",
            if is_logged == Some(false) { "; the rule gets no events before a trail logs" } else { "" },
            elsewhere(audit, alarmed)
        ));
}
