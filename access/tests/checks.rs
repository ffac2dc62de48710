//! Each check has a section on the page and two snapshots: one without faults, and the same one with the check's fault.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use secretcache_access::Snapshot;
use secretcache_access::audit::{Report, Severity, audit};
use secretcache_access::checks::{CHECKS, Check, page};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Fault {
    edits: Vec<Edit>,
    /// Other checks that report the same fault.
    #[serde(default)]
    also: BTreeSet<String>,
}

/// Puts a value at a JSON pointer; null removes what is there.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Edit {
    at: String,
    put: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks")
}

fn good() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("good.json")).unwrap()).unwrap()
}

fn put(json: &mut Value, edit: &Edit) {
    let (parent, name) = edit.at.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap_or_else(|| panic!("{} is nowhere", edit.at));
    match parent {
        Value::Array(all) => all[name.parse::<usize>().unwrap()] = edit.put.clone(),
        other if edit.put.is_null() => drop(other.as_object_mut().unwrap().remove(name)),
        other => other[name] = edit.put.clone(),
    }
}

fn report(json: Value) -> Report {
    let snapshot: Snapshot = serde_json::from_value(json).unwrap();
    // Also tests the round trip through JSON: the fixtures have every part of the format.
    audit(&Snapshot::parse(&snapshot.to_json()).unwrap())
}

fn found(report: &Report) -> BTreeSet<String> {
    report.findings.iter().map(|finding| finding.check.to_owned()).collect()
}

/// The Sids of each policy in a command.
fn sids(command: &str) -> Vec<Vec<String>> {
    let policies = command.split('\'').filter_map(|word| serde_json::from_str::<Value>(word).ok());
    let of = |policy: Value| {
        let statements = policy["Statement"].as_array()?.clone();
        Some(statements.iter().filter_map(|it| it["Sid"].as_str().map(str::to_owned)).collect())
    };
    policies.filter_map(of).collect()
}

fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied().flatten()
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let report = report(good());
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert!(report.not_checked.is_empty());
}

#[test]
fn every_check_finds_its_fault_and_no_other() {
    let mut wrong = Vec::new();
    for check in checks() {
        let file = folder().join(format!("bad/{}.json", check.id));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let fault: Fault = serde_json::from_str(&text).unwrap();
        let mut json = good();
        fault.edits.iter().for_each(|edit| put(&mut json, edit));
        let report = report(json);
        let mut expected = fault.also;
        expected.insert(check.id.to_owned());
        if found(&report) != expected {
            wrong.push(format!("{}: expected {expected:?}, found {:?}", check.id, found(&report)));
        }
        for finding in &report.findings {
            assert!(!finding.run.is_empty() || finding.advice.is_some(), "{}: no fix", check.id);
            assert!(!finding.seen.is_empty() && !finding.resource.is_empty(), "{}", check.id);
            assert!(!finding.run.iter().any(|command| command.contains('\n')), "{}", check.id);
            for sids in finding.run.iter().flat_map(|command| sids(command)) {
                let apart: BTreeSet<_> = sids.iter().collect();
                assert_eq!(apart.len(), sids.len(), "{}: AWS refuses duplicate Sids: {sids:?}", check.id);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The missing rule is the same wherever a program runs.
#[test]
fn services_and_instances_need_a_way_to_the_endpoint_as_functions_do() {
    let seen = |edit: fn(&mut Value)| -> Vec<(String, String)> {
        let mut json = good();
        let workload = &mut json["Workloads"][0];
        workload["SecurityGroupIds"] = json!(["sg-app"]);
        let group = json!({"GroupId": "sg-app", "VpcId": "vpc-1", "Egress": [{"IpProtocol": "tcp", "FromPort": 443,
            "ToPort": 443, "Groups": ["sg-endpoint"]}]});
        json["SecurityGroups"].as_array_mut().unwrap().push(group);
        edit(&mut json);
        let findings = report(json).findings.into_iter();
        findings.map(|finding| (finding.check.to_owned(), finding.seen)).collect()
    };
    let found = |text: &str| vec![("network.security-group".to_owned(), text.to_owned())];
    assert_eq!(seen(|_| ()), found("no rule of sg-endpoint lets service/shop/checkout in on port 443"));
    let instance = |json: &mut Value| {
        let arn = "arn:aws:ec2:eu-central-1:111122223333:instance/i-0a1b2c3d";
        json["Workloads"][0]["Arn"] = json!(arn);
        json["SecurityGroups"][0]["Ingress"][0]["Groups"] = json!(["sg-function", "sg-app"]);
        json["SecurityGroups"][2]["Egress"] = json!([]);
    };
    assert_eq!(seen(instance), found("no rule of sg-app lets instance/i-0a1b2c3d out on port 443"));
    // A program that reads no secret does not matter.
    assert_eq!(
        seen(|json| json["Workloads"][0]["Roles"] = json!(["arn:aws:iam::111122223333:role/none"])),
        []
    );
    let elsewhere = |json: &mut Value| json["Workloads"][0]["VpcId"] = json!("vpc-2");
    assert_eq!(
        seen(elsewhere),
        [("network.no-endpoint".to_owned(), "no endpoint; service/shop/checkout run there".to_owned())]
    );
}

/// Without permission to list services, functions are still checked.
#[test]
fn what_narrows_a_check_does_not_stop_it() {
    let mut json = good();
    json["SecurityGroups"][0]["Ingress"] = json!([]);
    json["NotCollected"] = json!([{"Permission": "ecs:ListClusters", "Error": "AccessDenied"}]);
    let narrowed = report(json.clone());
    assert_eq!(found(&narrowed), BTreeSet::from(["network.security-group".to_owned()]));
    let named = |report: &Report, permission: &str| {
        report
            .not_checked
            .iter()
            .any(|it| it.check == "network.security-group" && it.permission == permission)
    };
    assert!(named(&narrowed, "ecs:ListClusters"));

    json["NotCollected"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Permission": "ec2:DescribeSecurityGroups", "Error": "AccessDenied"}));
    let stopped = report(json);
    assert_eq!(found(&stopped), BTreeSet::new());
    assert!(named(&stopped, "ec2:DescribeSecurityGroups"));
}

/// An endpoint in each state: what is found, and whether commands fix it.
#[test]
fn an_endpoint_counts_by_its_state() {
    for (state, expected, has_commands) in [
        ("", None, false),
        ("available", None, false),
        ("Available", None, false),
        ("pending", Some("network.endpoint-state"), false),
        ("pendingAcceptance", Some("network.endpoint-state"), false),
        ("partial", Some("network.endpoint-state"), false),
        ("rejected", Some("network.endpoint-state"), true),
        ("failed", Some("network.endpoint-state"), true),
        ("expired", Some("network.endpoint-state"), true),
        ("deleting", Some("network.no-endpoint"), true),
        ("deleted", Some("network.no-endpoint"), true),
    ] {
        let mut json = good();
        json["VpcEndpoints"][0]["State"] = json!(state);
        if !matches!(state, "" | "available" | "Available" | "pending" | "pendingAcceptance" | "partial") {
            // Its other faults no longer matter.
            json["VpcEndpoints"][0]["PrivateDnsEnabled"] = json!(false);
            json["VpcEndpoints"][0]["Policy"] = Value::Null;
        }
        let report = report(json);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{state}");
        let commands = report.findings.iter().any(|finding| !finding.run.is_empty());
        assert_eq!(commands, has_commands, "{state}");
    }
}

#[test]
fn a_new_endpoint_beside_a_deleted_one_is_the_one_that_counts() {
    let mut json = good();
    let mut deleted = json["VpcEndpoints"][0].clone();
    deleted["VpcEndpointId"] = json!("vpce-0dead");
    deleted["State"] = json!("deleted");
    deleted["SecurityGroups"] = json!([]);
    json["VpcEndpoints"].as_array_mut().unwrap().insert(0, deleted);
    assert_eq!(found(&report(json)), BTreeSet::new());
}

#[test]
fn every_fault_is_of_a_check() {
    let ids: BTreeSet<_> = checks().map(|check| format!("{}.json", check.id)).collect();
    for entry in fs::read_dir(folder().join("bad")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(ids.contains(&name), "{name} belongs to no check");
    }
    assert_eq!(ids.len(), checks().count(), "duplicate id");
}

/// To regenerate the page: cargo run -p secretcache-access --example checks-page > docs/checks.md
#[test]
fn the_page_says_what_the_checks_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    assert!(
        fs::read_to_string(&file).unwrap() == page(),
        "docs/checks.md is outdated; run the example checks-page"
    );
    for check in checks() {
        assert!(page().contains(&format!("### `{}`", check.id)));
        assert!(check.title.len() < 110 && !check.why.is_empty() && !check.fix.is_empty(), "{}", check.id);
    }
}

/// GetSecretValue is a management event. Advice to record data events would ask for something that does not exist.
#[test]
fn nobody_is_asked_to_record_data_events() {
    for check in checks() {
        let fault: Fault = serde_json::from_str(
            &fs::read_to_string(folder().join(format!("bad/{}.json", check.id))).unwrap(),
        )
        .unwrap();
        let mut json = good();
        fault.edits.iter().for_each(|edit| put(&mut json, edit));
        for finding in report(json).findings {
            let commands = finding.run.join("\n");
            assert!(!commands.contains("DataResources") && !commands.contains("\"Data\""), "{}", check.id);
            assert!(!commands.contains("AWS::SecretsManager::Secret"), "{}", check.id);
        }
    }
}

#[test]
fn what_could_not_be_read_is_not_taken_for_good() {
    let mut json = good();
    json["NotCollected"] = json!([
        {"Permission": "cloudtrail:DescribeTrails", "Error": "AccessDeniedException"},
        {"Permission": "secretsmanager:GetResourcePolicy", "Resource": json["Secrets"][0]["ARN"], "Error": "AccessDenied"},
    ]);
    json["Trails"] = json!([]);
    json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
    let report = report(json);
    assert_eq!(found(&report), BTreeSet::new());
    let missing = |check: &str| {
        report.not_checked.iter().find(|it| it.check == check).map(|it| (&*it.permission, it.resources))
    };
    assert_eq!(missing("trail.none"), Some(("cloudtrail:DescribeTrails", None)));
    assert_eq!(missing("sharing.public"), Some(("secretsmanager:GetResourcePolicy", Some(1))));
    assert_eq!(missing("key.default"), None);
}

#[test]
fn severities_are_read_as_they_are_written() {
    for check in checks() {
        assert_eq!(check.severity.to_string().parse::<Severity>().unwrap(), check.severity);
    }
    assert!("worst".parse::<Severity>().unwrap_err().contains("critical"));
}

/// What other tools assert about Secrets Manager, by their ids. Detections, which watch events as they happen, and
/// rules for templates only are left out.
const ELSEWHERE: &[&str] = &[
    "Security Hub SecretsManager.1",
    "Security Hub SecretsManager.2",
    "Security Hub SecretsManager.3",
    "Security Hub SecretsManager.4",
    "Security Hub SecretsManager.5",
    "AWS Config secretsmanager-rotation-enabled-check",
    "AWS Config secretsmanager-scheduled-rotation-success-check",
    "AWS Config secretsmanager-secret-unused",
    "AWS Config secretsmanager-secret-periodic-rotation",
    "AWS Config secretsmanager-using-cmk",
    "AWS Config SECRETSMANAGER_MAX_SECRET_AGE",
    "prowler secretsmanager_automatic_rotation_enabled",
    "prowler secretsmanager_secret_rotated_periodically",
    "prowler secretsmanager_secret_unused",
    "prowler secretsmanager_not_publicly_accessible",
    "prowler secretsmanager_has_restrictive_resource_policy",
    "prowler vpc_endpoint_connections_trust_boundaries",
    "prowler vpc_endpoint_multi_az_enabled",
    "prowler kms_key_not_publicly_accessible",
    "prowler cloudtrail_multi_region_enabled_logging_management_events",
    "prowler kms_cmk_not_deleted_unintentionally",
    "checkov CKV_AWS_149",
    "checkov CKV_AWS_304",
    "checkov CKV2_AWS_57",
    "checkov CKV_AWS_108",
    "checkov CKV_AWS_288",
    "checkov CKV_AWS_364",
    "trivy AWS-0098",
    "cfn-nag W77",
    "cdk-nag SecretsManagerUsingKMSKey",
    "cdk-nag AwsSolutions-SMG4",
    "cfn-guard SECRETSMANAGER_USING_CMK",
    "cfn-guard SECRETSMANAGER_ROTATION_ENABLED_CHECK",
    "steampipe secretsmanager_secret_automatic_rotation_enabled",
    "steampipe secretsmanager_secret_automatic_rotation_lambda_enabled",
    "steampipe secretsmanager_secret_encrypted_with_kms_cmk",
    "steampipe secretsmanager_secret_last_changed_90_day",
    "steampipe secretsmanager_secret_last_changed_365_day",
    "steampipe secretsmanager_secret_last_used_1_day",
    "steampipe secretsmanager_secret_rotated_as_scheduled",
    "steampipe secretsmanager_secret_unused_90_day",
    "terrascan AC_AWS_0500",
    "terrascan AC_AWS_0501",
    "cloud-custodian cross-account",
    "parliament RESOURCE_STAR",
    "cloudsplaining data exfiltration",
    "IAM Access Analyzer external access",
    "Trend Conformity SecretsManager-002",
    "Trend Conformity SecretsManager-003",
    "stave CTL.SECRETS.ALARM.ACCESS.FAILURE",
    "stave CTL.SECRETS.ALARM.ACCESS.VOLUME",
    "stave CTL.SECRETS.ALARM.DELETE",
    "stave CTL.SECRETS.ALARM.POLICYCHANGE",
    "stave CTL.SECRETS.ALARM.PUTVALUE",
    "stave CTL.SECRETS.ALARM.ROTATION.FAILURE",
    "stave CTL.SECRETS.CROSSACCOUNT.BLASTRADIUS",
    "stave CTL.SECRETS.CROSSACCOUNT.NOKMS",
    "stave CTL.SECRETS.GHOST.DELETION.REFERENCED",
    "stave CTL.SECRETS.GHOST.POLICY.PRINCIPAL",
    "stave CTL.SECRETS.GHOST.ROTATIONLAMBDA",
    "stave CTL.SECRETS.INTEGRATION.RDS.NOSECRET",
    "stave CTL.SECRETS.LIFECYCLE.DELETION.MINWAIT",
    "stave CTL.SECRETS.LIFECYCLE.DORMANT",
    "stave CTL.SECRETS.LIFECYCLE.NEVERACCESSED",
    "stave CTL.SECRETS.LIFECYCLE.ORPHAN.DATABASE",
    "stave CTL.SECRETS.LIFECYCLE.PREVIOUSOLD",
    "stave CTL.SECRETS.POLICY.CROSSACCOUNT",
    "stave CTL.SECRETS.POLICY.READWRITE",
    "stave CTL.SECRETS.POLICY.SPRAWL",
    "stave CTL.SECRETS.REPLICA.NONCOMPLIANT.REGION",
    "stave CTL.SECRETS.REPLICA.ORPHAN",
    "stave CTL.SECRETS.REPLICA.POLICY.MISMATCH",
    "stave CTL.SECRETS.ROTATION.001",
    "stave CTL.SECRETS.ROTATION.INTERVAL.LONG",
    "stave CTL.SECRETS.ROTATION.NEVER",
    "stave CTL.SECRETS.ROTATION.SINGLEUSER.PROD",
    "stave CTL.SECRETS.ROTATION.STALE",
    "stave CTL.SECRETS.ALARM.ROTATION.APPROACHING",
    "stave CTL.SECRETS.CROSSACCOUNT.VALUECOPIED",
];

#[test]
fn whatever_other_tools_assert_is_checked() {
    let has = |id: &str| checks().flat_map(|check| check.counterparts).any(|theirs| theirs.starts_with(id));
    let missing: Vec<_> = ELSEWHERE.iter().filter(|id| !has(id)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
