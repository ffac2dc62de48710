//! EventBridge rules and metric alarms: whether anyone is notified of what happens to a secret.

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
        title: "An EventBridge rule waits for reads but never receives them",
        why: "A rule in the state ENABLED receives no read-only management events: Get, List and Describe calls are \
              left out. The rule looks like an alarm but never fires.",
        fix: "Set the rule's state to ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS.",
        needs: &["events:ListRules"],
        counterparts: &[],
        find: Find::Account(rule_state),
    },
    Check {
        id: "alarm.rotation-failed",
        severity: Severity::Medium,
        title: "There is no alarm for failed or abandoned rotations",
        why: "A failed rotation leaves the old credential in use. An abandoned one can lock an application out.",
        fix: "Create an EventBridge rule with a target for RotationFailed and RotationAbandoned.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.ROTATION.FAILURE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[0])),
    },
    Check {
        id: "alarm.delete",
        severity: Severity::Low,
        title: "There is no alarm for deleted secrets",
        why: "A deletion can be undone within the recovery window, but only if someone notices.",
        fix: "Create an EventBridge rule with a target for DeleteSecret.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.DELETE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[1])),
    },
    Check {
        id: "alarm.policy-change",
        severity: Severity::Low,
        title: "There is no alarm for changed resource policies",
        why: "Changing the resource policy can open the secret to others.",
        fix: "Create an EventBridge rule with a target for PutResourcePolicy and DeleteResourcePolicy.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.POLICYCHANGE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[2])),
    },
    Check {
        id: "alarm.put-value",
        severity: Severity::Low,
        title: "There is no alarm for values written outside a rotation",
        why: "Only rotation should write a value. A write by anything else is a mistake or an attack.",
        fix: "Create an EventBridge rule with a target for PutSecretValue and UpdateSecret.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.PUTVALUE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[3])),
    },
    Check {
        id: "alarm.access-denied",
        severity: Severity::Low,
        title: "There is no alarm for refused reads",
        why: "Refused reads can be the first sign of an intruder, or of a broken application.",
        fix: "Create an EventBridge rule for GetSecretValue with an errorCode, in the state for all management events.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.ACCESS.FAILURE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[4])),
    },
    Check {
        id: "alarm.access-volume",
        severity: Severity::Low,
        title: "There is no alarm for the number of reads",
        why: "A sudden rise in reads can be the first sign that someone is copying secrets.",
        fix: "Create a metric filter for GetSecretValue on the trail's log group, with an alarm. Or create a rule for \
              GetSecretValue and BatchGetSecretValue, in the state for all management events.",
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

/// What should raise an alarm, by the names of its events.
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

/// A secret, and how a call names it: by its name or its ARN.
#[derive(Clone, Copy)]
struct Called<'s> {
    by: &'s str,
    arn: &'s str,
}

const ANY: Called<'static> = Called { by: "any", arn: "any" };

/// The error codes that CloudTrail records for a refused call.
const REFUSALS: [&str; 2] = ["AccessDenied", "AccessDeniedException"];

/// The event that EventBridge receives when something happens to a secret:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieve-ct-entries.html>. The caller is made up, so no
/// rule names it. The end of a rotation is a service event; everything else is a call, which names the secret by its
/// name or its ARN. The response to a write has the ARN, spelled `arn` by some calls and `aRN` by others.
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

/// Whether a rule matches an event but not every event of every service.
fn hears(audit: &Audit<'_>, rule: &EventRule, name: &str, secret: Called<'_>, alarmed: &Alarmed) -> bool {
    let Some(pattern) = &rule.event_pattern else { return false };
    let hears = |error| takes(pattern, &event(audit, name, secret, error));
    let is_heard = if alarmed.is_denied {
        // A rule that matches every read does not single out the refused ones.
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
        // Other conditions of the pattern do not matter: no read reaches the rule.
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
        // Only rules that name a read. A rule for all events is useful without reads.
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

/// The ways in which a call, or an event of the service, can name a secret.
fn names<'s>(secret: &'s Secret, event: &str) -> Vec<Called<'s>> {
    let called = |by| Called { by, arn: &secret.arn };
    let all = [called(&secret.arn), called(&secret.name)];
    all[..if event.starts_with("Rotation") { 1 } else { 2 }].to_vec()
}

/// Whether a rule is enabled and receives events of this kind.
fn is_on(rule: &EventRule, alarmed: &Alarmed) -> bool {
    let is_on = if alarmed.is_read { rule.state == ALL_EVENTS } else { rule.state.starts_with("ENABLED") };
    is_on && rule.targets != Some(0)
}

/// The event buses to which a rule forwards events.
fn buses(rule: &EventRule) -> impl Iterator<Item = &str> {
    rule.target_arns.iter().map(String::as_str).filter(|arn| arn.contains(":event-bus/"))
}

/// Returns the first rule that forwards an event to another bus, with that bus, whose own rules decide what happens
/// next. Such a rule can match everything.
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

/// The pattern of a rule that raises the alarm.
fn pattern(audit: &Audit<'_>, alarmed: &Alarmed) -> Value {
    let mut detail = json!({"eventSource": ["secretsmanager.amazonaws.com"], "eventName": alarmed.names});
    if alarmed.is_denied {
        detail["errorCode"] = json!([{"exists": true}]);
    }
    // Rotations write values too, and must not raise the alarm.
    let rotations = audit.rotation_roles();
    if alarmed.names.contains(&"PutSecretValue") && !rotations.is_empty() {
        let of_role =
            |test: Value| json!({"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [test]}}}});
        detail["$or"] =
            json!([of_role(json!({"exists": false})), of_role(json!({"anything-but": rotations}))]);
    }
    json!({"source": ["aws.secretsmanager"], "detail": detail})
}

/// The secrets whose events match no rule and no filter. If nothing distinguishes secrets, `anyone` is the only one
/// tested and represents all of them.
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
    let distinguishes =
        rules.iter().any(|rule| rule.event_pattern.as_ref().is_some_and(|it| by_secret(&it.to_string())))
            || filters.iter().any(|filter| by_secret(&filter.filter_pattern));
    let is_heard = |secret: &&Secret| {
        filters.iter().any(|filter| metric::hears(audit, filter, name, secret, alarmed))
            || names(secret, name)
                .iter()
                .all(|called| rules.iter().any(|rule| hears(audit, rule, name, *called, alarmed)))
    };
    let all = if distinguishes { audit.snapshot.secrets.as_slice() } else { &[] };
    let all = if all.is_empty() { std::slice::from_ref(anyone) } else { all };
    all.iter().filter(|secret| !is_heard(secret)).collect()
}

/// A hint at alarms that the audit cannot see: a trail can write to a log group whose filters were not read.
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
    // A rule that only forwards to another bus notifies nothing here.
    let notifies = |rule: &&EventRule| {
        is_on(rule, alarmed) && (rule.target_arns.is_empty() || buses(rule).count() < rule.target_arns.len())
    };
    let notifying: Vec<_> = audit.snapshot.event_rules.iter().filter(notifies).collect();
    let is_logged = trail::logs(audit);
    let rules = if is_logged == Some(true) { notifying.as_slice() } else { &[] };
    let mut is_deaf = is_logged == Some(false);
    for name in alarmed.names {
        let unheard_with = |rules: &[&EventRule], filters: &[&MetricAlarm]| {
            unheard(audit, name, alarmed, rules, filters, &anyone)
        };
        let unheard = unheard_with(rules, &filters);
        if unheard.is_empty() {
            continue;
        }
        if is_logged.is_none() && unheard_with(&notifying, &filters).is_empty() {
            let reason = "whether a trail logs, which rules need to get events: the trails are not read";
            findings.not_known("cloudtrail:DescribeTrails", reason);
            continue;
        }
        is_deaf &= unheard_with(&notifying, &filters).is_empty();
        let forwarded = forwards(audit, name, &unheard, alarmed).filter(|_| is_logged != Some(false));
        if let Some((rule, bus)) = forwarded {
            let reason = format!("the rule {} forwards {name} to {bus}, whose rules are not read", rule.name);
            findings.not_known("events:ListRules", reason);
            continue;
        }
        if let (Some(filter), true) = (unknown.first(), unheard_with(&notifying, &unknown).is_empty()) {
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
            "start a trail (see trail.none and trail.not-logging): it delivers these events to EventBridge",
        );
        return;
    }
    let pattern = pattern(audit, alarmed).to_string();
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
            if is_logged == Some(false) { "; the rule gets no events until a trail logs" } else { "" },
            elsewhere(audit, alarmed)
        ));
}
