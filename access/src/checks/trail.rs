//! CloudTrail, EventBridge and alarms.
//!
//! Reads of secrets are *management* events of the kind read, recorded by any trail that records those
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-cloudtrail.html>). There is no data event for
//! them; nothing here asks for any.

use serde_json::{Value, json};

use super::{Check, Find};
use crate::audit::{Audit, Findings, Severity};
use crate::fix::{command, quote};
use crate::snapshot::{AdvancedEventSelector, EventRule, FieldSelector, Trail};

const TRAILS: &[&str] = &["cloudtrail:DescribeTrails"];
const SELECTORS: &[&str] = &["cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors"];
const ALARMS: &[&str] = &["events:ListRules", "events:ListTargetsByRule", "logs:DescribeMetricFilters"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "trail.none",
        severity: Severity::High,
        title: "No trail records this Region",
        why: "CloudTrail's event history ends after 90 days and cannot be alarmed on. Without a trail nobody can say later who \
              read a secret.",
        fix: "Create a trail for all Regions. Management events are recorded by default; reads of secrets are among them.",
        needs: TRAILS,
        counterparts: &[
            "Security Hub CloudTrail.1",
            "prowler cloudtrail_multi_region_enabled",
            "AWS Config cloudtrail-enabled",
        ],
        find: Find::Account(none),
    },
    Check {
        id: "trail.not-logging",
        severity: Severity::High,
        title: "No trail is recording",
        why: "A stopped trail looks like a quiet account.",
        fix: "Start logging.",
        needs: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"],
        counterparts: &["prowler cloudtrail_multi_region_enabled_logging_management_events"],
        find: Find::Account(not_logging),
    },
    Check {
        id: "trail.single-region",
        severity: Severity::Medium,
        title: "No trail records all Regions",
        why: "A secret can be replicated to, and read in, a Region that nobody watches.",
        fix: "Make the trail a multi-Region trail.",
        needs: TRAILS,
        counterparts: &[
            "prowler cloudtrail_multi_region_enabled",
            "AWS Config multi-region-cloudtrail-enabled",
            "checkov CKV_AWS_67",
        ],
        find: Find::Account(single_region),
    },
    Check {
        id: "trail.no-management-events",
        severity: Severity::High,
        title: "No recording trail records management events",
        why: "All operations of Secrets Manager are management events.",
        fix: "Record management events, reads and writes.",
        needs: SELECTORS,
        counterparts: &["prowler cloudtrail_multi_region_enabled_logging_management_events"],
        find: Find::Account(no_management),
    },
    Check {
        id: "trail.write-only",
        severity: Severity::High,
        title: "Trails leave out read events, and with them GetSecretValue",
        why: "GetSecretValue is a read-only management event: ReadWriteType WriteOnly, or an advanced selector with readOnly = \
              false, loses every read of a secret.",
        fix: "Record read events as well.",
        needs: SELECTORS,
        counterparts: &[
            "corrects stave CTL.SECRETS.AUDIT.DATAEVENTS, which asks for data events that do not exist",
        ],
        find: Find::Account(write_only),
    },
    Check {
        id: "trail.kms-excluded",
        severity: Severity::Medium,
        title: "Trails leave out events of AWS KMS",
        why: "The key's Decrypt events are the second record of each read, and the only one of a use outside of Secrets \
              Manager.",
        fix: "Record events of kms.amazonaws.com.",
        needs: SELECTORS,
        counterparts: &[],
        find: Find::Account(kms_excluded),
    },
    Check {
        id: "trail.network-activity",
        severity: Severity::Info,
        title: "Calls that a VPC endpoint's policy refuses are not recorded",
        why: "They never reach the service, so they are not among management events; network activity events alone have them.",
        fix: "Add a selector for network activity events of secretsmanager.amazonaws.com. They are charged for.",
        needs: &["cloudtrail:GetEventSelectors", "ec2:DescribeVpcEndpoints"],
        counterparts: &[],
        find: Find::Account(network_activity),
    },
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
        why: "Refused reads are what an intruder's first steps look like, and a broken application's.",
        fix: "Create an EventBridge rule, in the state for all management events, for GetSecretValue with an errorCode.",
        needs: ALARMS,
        counterparts: &["stave CTL.SECRETS.ALARM.ACCESS.FAILURE"],
        find: Find::Account(|audit, findings| alarm(audit, findings, &ALARMED[4])),
    },
    Check {
        id: "alarm.access-volume",
        severity: Severity::Low,
        title: "There is no alarm for the number of reads",
        why: "Somebody who reads all secrets at once is seen by the number of reads before anything else.",
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

fn recording<'a>(audit: &'a Audit<'_>) -> impl Iterator<Item = &'a Trail> {
    audit.snapshot.trails.iter().filter(|trail| trail.is_logging != Some(false))
}

fn none(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    if audit.snapshot.trails.is_empty() {
        let account = &audit.snapshot.account;
        let bucket = format!("trail-{account}");
        findings
            .add(format!("account {account}"), "no trail records this Region")
            .run(format!(
                "{} --is-multi-region-trail && aws cloudtrail start-logging --name management-events",
                command(&["aws", "cloudtrail", "create-trail", "--name", "management-events", "--s3-bucket-name", &bucket])
            ))
            .advise("the bucket must exist and let CloudTrail write; do not ask for data events: reads are management events");
    }
}

fn not_logging(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let trails = &audit.snapshot.trails;
    if let (Some(trail), None) = (trails.first(), recording(audit).next()) {
        let run = command(&["aws", "cloudtrail", "start-logging", "--name", &trail.trail_arn]);
        findings.add(&trail.trail_arn, "the trail is stopped").run(run);
    }
}

fn single_region(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    if let (Some(trail), false) =
        (recording(audit).next(), recording(audit).any(|trail| trail.is_multi_region_trail))
    {
        let words = command(&[
            "aws",
            "cloudtrail",
            "update-trail",
            "--name",
            &trail.trail_arn,
            "--is-multi-region-trail",
        ]);
        findings.add(&trail.trail_arn, format!("records {} alone", trail.home_region)).run(words);
    }
}

/// An event that a trail may record.
#[derive(Clone, Copy)]
struct Event {
    category: &'static str,
    source: &'static str,
    name: &'static str,
    is_read: bool,
}

const READ: Event = Event {
    category: "Management",
    source: "secretsmanager.amazonaws.com",
    name: "GetSecretValue",
    is_read: true,
};
const WRITE: Event = Event { name: "PutSecretValue", is_read: false, ..READ };
const DECRYPT: Event = Event { source: "kms.amazonaws.com", name: "Decrypt", ..READ };
const REFUSED: Event = Event { category: "NetworkActivity", ..READ };

/// Whether a trail records an event.
fn records(trail: &Trail, event: Event) -> bool {
    if !trail.advanced_event_selectors.is_empty() {
        return trail.advanced_event_selectors.iter().any(|selector| selects(selector, event));
    }
    if event.category != "Management" {
        return false;
    }
    // A trail without selectors records all management events.
    trail.event_selectors.is_empty()
        || trail.event_selectors.iter().any(|selector| {
            let kind = match selector.read_write_type.as_str() {
                "WriteOnly" => !event.is_read,
                "ReadOnly" => event.is_read,
                _ => true,
            };
            let is_excluded =
                selector.exclude_management_event_sources.iter().any(|source| source == event.source);
            selector.include_management_events != Some(false) && kind && !is_excluded
        })
}

fn selects(selector: &AdvancedEventSelector, event: Event) -> bool {
    selector.field_selectors.iter().all(|field| {
        let value = match field.field.as_str() {
            "eventCategory" => event.category,
            "eventSource" => event.source,
            "eventName" => event.name,
            "readOnly" => {
                if event.is_read {
                    "true"
                } else {
                    "false"
                }
            }
            // Other fields restrict it in ways that cannot be known here.
            _ => return event.category == "NetworkActivity",
        };
        is_selected(field, value)
    })
}

fn is_selected(field: &FieldSelector, value: &str) -> bool {
    let is = |all: &[String], test: &dyn Fn(&String) -> bool| all.is_empty() || all.iter().any(test);
    let is_not = |all: &[String], test: &dyn Fn(&String) -> bool| !all.iter().any(test);
    let (equal, begins, ends) = (
        |it: &String| it == value,
        |it: &String| value.starts_with(it.as_str()),
        |it: &String| value.ends_with(it.as_str()),
    );
    is(&field.equals, &equal)
        && is(&field.starts_with, &begins)
        && is(&field.ends_with, &ends)
        && is_not(&field.not_equals, &equal)
        && is_not(&field.not_starts_with, &begins)
        && is_not(&field.not_ends_with, &ends)
}

/// The command that has a trail record every management event, and keeps what else it records.
fn record_all(trail: &Trail) -> String {
    let words = command(&["aws", "cloudtrail", "put-event-selectors", "--trail-name", &trail.trail_arn]);
    if trail.advanced_event_selectors.is_empty() {
        return format!(
            "{words} --event-selectors {}",
            quote(r#"[{"ReadWriteType":"All","IncludeManagementEvents":true}]"#)
        );
    }
    let is_management = |selector: &&AdvancedEventSelector| {
        !selector
            .field_selectors
            .iter()
            .any(|field| field.field == "eventCategory" && field.equals == ["Management"])
    };
    let mut selectors: Vec<Value> = vec![json!({"Name": "Management events",
        "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]})];
    selectors.extend(trail.advanced_event_selectors.iter().filter(is_management).map(written));
    format!("{words} --advanced-event-selectors {}", quote(&json!(selectors).to_string()))
}

/// A selector as the API takes it, without empty lists.
fn written(selector: &AdvancedEventSelector) -> Value {
    let mut json = json!(selector);
    for field in json["FieldSelectors"].as_array_mut().into_iter().flatten() {
        field.as_object_mut().into_iter().for_each(|it| it.retain(|_, value| *value != json!([])));
    }
    json
}

fn no_management(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let none = !recording(audit).any(|trail| records(trail, READ) || records(trail, WRITE));
    if let (Some(trail), true) = (recording(audit).next(), none) {
        findings.add(&trail.trail_arn, "records no management events").run(record_all(trail));
    }
}

fn write_only(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let misses = !recording(audit).any(|trail| records(trail, READ));
    let writes = recording(audit).find(|trail| records(trail, WRITE));
    if let (Some(trail), true) = (writes, misses) {
        findings.add(&trail.trail_arn, "records writes, and no GetSecretValue").run(record_all(trail));
    }
}

fn kms_excluded(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let reads = recording(audit).find(|trail| records(trail, READ));
    if let (Some(trail), false) = (reads, recording(audit).any(|trail| records(trail, DECRYPT))) {
        findings.add(&trail.trail_arn, "leaves out kms.amazonaws.com").run(record_all(trail));
    }
}

fn network_activity(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let has_endpoint = !audit.snapshot.vpc_endpoints.is_empty();
    if let (true, Some(trail), false) =
        (has_endpoint, recording(audit).next(), recording(audit).any(|trail| records(trail, REFUSED)))
    {
        let mut selectors: Vec<Value> = if trail.advanced_event_selectors.is_empty() {
            vec![
                json!({"Name": "Management events", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}),
            ]
        } else {
            trail.advanced_event_selectors.iter().map(written).collect()
        };
        selectors.push(json!({"Name": "Refused by endpoint policies", "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["NetworkActivity"]},
            {"Field": "eventSource", "Equals": ["secretsmanager.amazonaws.com"]},
            {"Field": "errorCode", "Equals": ["VpceAccessDenied"]}]}));
        let words = command(&["aws", "cloudtrail", "put-event-selectors", "--trail-name", &trail.trail_arn]);
        findings
            .add(&trail.trail_arn, "no network activity events of secretsmanager.amazonaws.com")
            .run(format!("{words} --advanced-event-selectors {}", quote(&json!(selectors).to_string())));
    }
}

/// Whether a rule's pattern lets an event of Secrets Manager through.
fn rule_takes(rule: &EventRule, name: &str, is_denied: bool) -> bool {
    let Some(pattern) = &rule.event_pattern else { return false };
    let lists = |field: &Value, wanted: &str| match field {
        Value::Null => true,
        Value::Array(all) => all.iter().any(|one| match one {
            Value::String(text) => text == wanted,
            Value::Object(test) => {
                let prefix = test.get("prefix").and_then(Value::as_str);
                prefix.is_some_and(|prefix| wanted.starts_with(prefix))
                    || test.get("exists") == Some(&json!(true))
            }
            _ => false,
        }),
        _ => false,
    };
    let detail = &pattern["detail"];
    let source = lists(&pattern["source"], "aws.secretsmanager")
        && lists(&detail["eventSource"], "secretsmanager.amazonaws.com");
    // A rule for everything of every service is no alarm for secrets.
    let is_about = !pattern["source"].is_null() || !detail["eventSource"].is_null();
    let error = if is_denied { !detail["errorCode"].is_null() } else { detail["errorCode"].is_null() };
    source && is_about && lists(&detail["eventName"], name) && error
}

const ALL_EVENTS: &str = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

fn rule_state(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    for rule in audit.snapshot.event_rules.iter().filter(|rule| rule.state == "ENABLED") {
        let names = rule.event_pattern.as_ref().map(|pattern| &pattern["detail"]["eventName"]);
        // Only rules that name a read: one for all events is useful without reads.
        let names_read =
            |names: &Value| names.as_array().is_some_and(|all| all.iter().any(|it| it == "GetSecretValue"));
        if names.is_some_and(names_read)
            && (rule_takes(rule, "GetSecretValue", false) || rule_takes(rule, "GetSecretValue", true))
        {
            let pattern = rule.event_pattern.as_ref().map(ToString::to_string).unwrap_or_default();
            findings.add(&rule.name, "state ENABLED, and the pattern names GetSecretValue").run(format!(
                "{} --state {ALL_EVENTS} --event-pattern {}",
                command(&["aws", "events", "put-rule", "--name", &rule.name]),
                quote(&pattern)
            ));
        }
    }
}

fn alarm(audit: &Audit<'_>, findings: &mut Findings<'_>, alarmed: &Alarmed) {
    let takes = |rule: &EventRule, name: &str| {
        let is_on =
            if alarmed.is_read { rule.state == ALL_EVENTS } else { rule.state.starts_with("ENABLED") };
        is_on && rule.targets != Some(0) && rule_takes(rule, name, alarmed.is_denied)
    };
    let by_metric = |name: &str| {
        audit.snapshot.metric_alarms.iter().any(|filter| {
            let is_about = filter.filter_pattern.contains(name);
            let is_error = filter.filter_pattern.contains("errorCode");
            is_about && is_error == alarmed.is_denied && !filter.alarms.is_empty()
        })
    };
    let silent: Vec<_> = alarmed
        .names
        .iter()
        .filter(|name| !audit.snapshot.event_rules.iter().any(|rule| takes(rule, name)) && !by_metric(name))
        .copied()
        .collect();
    if silent.is_empty() {
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
        .add(format!("account {account}"), format!("no rule and no alarm for {}", silent.join(", ")))
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
        .advise("name a target of yours: the command takes an SNS topic called secrets");
}
