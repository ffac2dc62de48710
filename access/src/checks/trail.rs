//! CloudTrail: whether calls on secrets are recorded.
//!
//! Reads of secrets are read-only *management* events, recorded by any trail that records read events
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/monitoring-cloudtrail.html>). There is no data event
//! for them, and these checks ask for none.

use serde_json::{Value, json};

use super::{Check, Find};
use crate::audited::Audit;
use crate::condition::Truth;
use crate::finding::{Findings, Severity};
use crate::fix::{command, quote};
use crate::snapshot::{AdvancedEventSelector, FieldSelector, Trail};

const TRAILS: &[&str] = &["cloudtrail:DescribeTrails"];
const SELECTORS: &[&str] = &["cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "trail.none",
        severity: Severity::High,
        title: "No trail records this Region",
        why: "CloudTrail's event history ends after 90 days and cannot raise alarms. Without a trail, nobody can find \
              out later who read a secret.",
        fix: "Create a trail for all Regions. By default it records management events, and with them reads of secrets.",
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
        why: "While no trail records, nobody can find out later who read or changed a secret.",
        fix: "Start logging on a trail.",
        needs: &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"],
        counterparts: &["prowler cloudtrail_multi_region_enabled_logging_management_events"],
        find: Find::Account(not_logging),
    },
    Check {
        id: "trail.single-region",
        severity: Severity::Medium,
        title: "No trail records all Regions",
        why: "A secret can be replicated to a Region that nobody watches, and read there unnoticed.",
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
        why: "Every Secrets Manager call is a management event, so none is recorded.",
        fix: "Record management events, both reads and writes.",
        needs: SELECTORS,
        counterparts: &["prowler cloudtrail_multi_region_enabled_logging_management_events"],
        find: Find::Account(no_management),
    },
    Check {
        id: "trail.write-only",
        severity: Severity::High,
        title: "Trails leave out read events, including GetSecretValue",
        why: "GetSecretValue is a read-only management event. ReadWriteType WriteOnly, or an advanced selector with \
              readOnly = false, loses every read of a secret.",
        fix: "Record read events as well.",
        needs: SELECTORS,
        counterparts: &[
            "corrects stave CTL.SECRETS.AUDIT.DATAEVENTS, which asks for data events that do not exist",
        ],
        find: Find::Account(write_only),
    },
    Check {
        id: "trail.read-only",
        severity: Severity::High,
        title: "Trails leave out write events, including changed values and policies",
        why: "PutSecretValue, DeleteSecret and PutResourcePolicy are write events. ReadWriteType ReadOnly, or an \
              advanced selector with readOnly = true, loses every change to a secret and to who can read it.",
        fix: "Record write events as well.",
        needs: SELECTORS,
        counterparts: &["prowler cloudtrail_multi_region_enabled_logging_management_events"],
        find: Find::Account(read_only),
    },
    Check {
        id: "trail.kms-excluded",
        severity: Severity::Medium,
        title: "Trails leave out events of AWS KMS",
        why: "The key's Decrypt events are a second record of each read, and the only record of use outside of Secrets Manager.",
        fix: "Record events of kms.amazonaws.com.",
        needs: SELECTORS,
        counterparts: &[],
        find: Find::Account(kms_excluded),
    },
    Check {
        id: "trail.network-activity",
        severity: Severity::Info,
        title: "Calls refused by a VPC endpoint's policy are not recorded",
        why: "These calls never reach the service, so they are not management events. Only network activity events record them.",
        fix: "Add a selector for network activity events of secretsmanager.amazonaws.com. They cost extra.",
        needs: &["cloudtrail:GetEventSelectors", "ec2:DescribeVpcEndpoints"],
        counterparts: &[],
        find: Find::Account(network_activity),
    },
];

fn recording<'a>(audit: &'a Audit<'_>) -> impl Iterator<Item = &'a Trail> {
    audit.snapshot.trails.iter().filter(|trail| trail.is_logging != Some(false))
}

/// Whether any trail is logging, without which EventBridge receives no events through CloudTrail
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>). `None` if the trails
/// were not read.
pub(super) fn logs(audit: &Audit<'_>) -> Option<bool> {
    let is_read = !audit.denied.contains(&("cloudtrail:DescribeTrails", ""));
    is_read.then(|| recording(audit).next().is_some())
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
            .advise("the bucket must exist and let CloudTrail write to it; you need no data events: reads are management events");
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
        findings.add(&trail.trail_arn, format!("records only {}", trail.home_region)).run(words);
    }
}

/// An event that a trail can record.
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

/// Whether a trail records an event; `Maybe` if a selector leaves out some callers or includes only some.
fn records(trail: &Trail, event: Event) -> Truth {
    if !trail.advanced_event_selectors.is_empty() {
        // Selectors can separate console calls from all others.
        let by_console = [true, false].map(|is_from_console| {
            let all = trail.advanced_event_selectors.iter();
            all.map(|selector| selects(selector, event, is_from_console)).max().unwrap_or(Truth::No)
        });
        return match by_console {
            [one, other] if one == other => one,
            _ => Truth::Maybe,
        };
    }
    if event.category != "Management" {
        return Truth::No;
    }
    // A trail without selectors records all management events.
    let is_selected = trail.event_selectors.is_empty()
        || trail.event_selectors.iter().any(|selector| {
            let kind = match selector.read_write_type.as_str() {
                "WriteOnly" => !event.is_read,
                "ReadOnly" => event.is_read,
                _ => true,
            };
            let is_excluded =
                selector.exclude_management_event_sources.iter().any(|source| source == event.source);
            selector.include_management_events != Some(false) && kind && !is_excluded
        });
    is_selected.into()
}

fn selects(selector: &AdvancedEventSelector, event: Event, is_from_console: bool) -> Truth {
    let one = |field: &FieldSelector| {
        let value = match field.field.as_str() {
            "eventCategory" => event.category,
            "eventSource" => event.source,
            "eventName" => event.name,
            "eventType" => "AwsApiCall",
            "readOnly" => truth(event.is_read),
            "sessionCredentialFromConsole" => truth(is_from_console),
            "errorCode" if event.category == "NetworkActivity" => "VpceAccessDenied",
            // The caller and the endpoint differ from call to call.
            _ => return Truth::Maybe,
        };
        Truth::from(is_selected(field, value))
    };
    selector.field_selectors.iter().map(one).min().unwrap_or(Truth::Yes)
}

fn truth(is_so: bool) -> &'static str {
    if is_so { "true" } else { "false" }
}

/// Whether all recording trails together record an event.
fn recorded(audit: &Audit<'_>, event: Event) -> Truth {
    recording(audit).map(|trail| records(trail, event)).max().unwrap_or(Truth::No)
}

/// The log groups to which trails write events on secrets: reads, or all others.
pub(super) fn log_groups<'a>(audit: &'a Audit<'_>, is_read: bool) -> impl Iterator<Item = &'a str> {
    let event = if is_read { READ } else { WRITE };
    let trails = recording(audit).filter(move |trail| records(trail, event) != Truth::No);
    trails.filter_map(|trail| trail.cloud_watch_logs_log_group_arn.as_deref())
}

/// Describes the conditions on callers in a trail's selectors.
fn restrictions(trail: &Trail) -> String {
    let known = ["eventCategory", "eventSource", "eventName", "eventType", "readOnly"];
    let is_of_category =
        |field: &FieldSelector| field.field != "eventCategory" || is_selected(field, READ.category);
    let selectors = trail.advanced_event_selectors.iter();
    let fields = selectors
        .map(|selector| &selector.field_selectors)
        .filter(|fields| fields.iter().all(is_of_category))
        .flatten();
    let mut seen = Vec::new();
    for field in fields.filter(|field| !known.contains(&field.field.as_str())) {
        let tests = [
            ("is", &field.equals),
            ("is not", &field.not_equals),
            ("begins with", &field.starts_with),
            ("does not begin with", &field.not_starts_with),
            ("ends with", &field.ends_with),
            ("does not end with", &field.not_ends_with),
        ];
        for (test, values) in tests.into_iter().filter(|(_, values)| !values.is_empty()) {
            seen.push(format!("{} {test} {}", field.field, values.join(" or ")));
        }
    }
    seen.join(", ")
}

/// Reports a trail that records an event only for some callers, which is less severe than one that never records it.
fn partly(audit: &Audit<'_>, findings: &mut Findings<'_>, event: Event, what: &str) {
    let mut trails = recording(audit).filter(|trail| records(trail, event) == Truth::Maybe);
    if let (Truth::Maybe, Some(trail)) = (recorded(audit, event), trails.next()) {
        let seen = format!("records {what} of some sessions only: {}", restrictions(trail));
        let finding = findings.add(&trail.trail_arn, seen);
        finding.severity = Severity::Low;
        finding.run(record_all(trail)).advise("if the others are left out on purpose, nothing is wrong");
    }
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

/// The command that makes a trail record every management event, and keeps what else it records.
fn record_all(trail: &Trail) -> String {
    let words = command(&["aws", "cloudtrail", "put-event-selectors", "--trail-name", &trail.trail_arn]);
    if trail.advanced_event_selectors.is_empty() {
        // Data events of other services stay recorded.
        let of_data = trail.event_selectors.iter().filter(|selector| !selector.data_resources.is_empty());
        let mut selectors: Vec<Value> = of_data
            .map(|selector| {
                json!({"ReadWriteType": if selector.read_write_type.is_empty() { "All" } else { &selector.read_write_type },
                    "IncludeManagementEvents": false, "DataResources": selector.data_resources})
            })
            .collect();
        selectors.insert(0, json!({"ReadWriteType": "All", "IncludeManagementEvents": true}));
        return format!("{words} --event-selectors {}", quote(&json!(selectors).to_string()));
    }
    let is_other = |selector: &&AdvancedEventSelector| {
        !selector
            .field_selectors
            .iter()
            .any(|field| field.field == "eventCategory" && field.equals == ["Management"])
    };
    let mut selectors: Vec<Value> = vec![json!({"Name": "Management events",
        "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]})];
    selectors.extend(trail.advanced_event_selectors.iter().filter(is_other).map(written));
    format!("{words} --advanced-event-selectors {}", quote(&json!(selectors).to_string()))
}

/// A selector in the API's form, without empty lists.
fn written(selector: &AdvancedEventSelector) -> Value {
    let mut json = json!(selector);
    for field in json["FieldSelectors"].as_array_mut().into_iter().flatten() {
        field.as_object_mut().into_iter().for_each(|it| it.retain(|_, value| *value != json!([])));
    }
    json
}

fn no_management(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let best = recorded(audit, READ).max(recorded(audit, WRITE));
    if let (Some(trail), Truth::No) = (recording(audit).next(), best) {
        findings.add(&trail.trail_arn, "records no management events").run(record_all(trail));
    } else if recorded(audit, WRITE) == Truth::Maybe {
        partly(audit, findings, WRITE, "management events");
    }
}

fn write_only(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let writes = recording(audit).find(|trail| records(trail, WRITE) != Truth::No);
    match (recorded(audit, READ), writes) {
        (Truth::No, Some(trail)) => {
            findings.add(&trail.trail_arn, "records writes but no GetSecretValue").run(record_all(trail));
        }
        (Truth::Maybe, _) if recorded(audit, WRITE) == Truth::Yes => {
            partly(audit, findings, READ, "GetSecretValue");
        }
        _ => {}
    }
}

fn read_only(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let reads = recording(audit).find(|trail| records(trail, READ) != Truth::No);
    if let (Truth::No, Some(trail)) = (recorded(audit, WRITE), reads) {
        findings.add(&trail.trail_arn, "records reads but no PutSecretValue").run(record_all(trail));
    }
}

fn kms_excluded(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let reads = recording(audit).find(|trail| records(trail, READ) != Truth::No);
    match (reads, recorded(audit, DECRYPT)) {
        (Some(trail), Truth::No) => {
            findings.add(&trail.trail_arn, "leaves out kms.amazonaws.com").run(record_all(trail));
        }
        (Some(_), Truth::Maybe) if recorded(audit, READ) == Truth::Yes => {
            partly(audit, findings, DECRYPT, "events of kms.amazonaws.com");
        }
        _ => {}
    }
}

fn network_activity(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let has_endpoint = !audit.snapshot.vpc_endpoints.is_empty();
    if let (true, Some(trail), false) =
        (has_endpoint, recording(audit).next(), recorded(audit, REFUSED) != Truth::No)
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
        let finding =
            findings.add(&trail.trail_arn, "no network activity events of secretsmanager.amazonaws.com");
        if trail.event_selectors.iter().any(|selector| !selector.data_resources.is_empty()) {
            finding.advise(
                "first convert the trail's selectors to advanced ones, including those for other services: \
                            advanced selectors replace basic ones",
            );
            return;
        }
        finding.run(format!("{words} --advanced-event-selectors {}", quote(&json!(selectors).to_string())));
    }
}
