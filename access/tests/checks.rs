//! Each check has a page and two snapshots: one in which all is well, and the same with one fault.

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
    /// What the same fault is besides.
    #[serde(default)]
    also: BTreeSet<String>,
}

/// A value put at a JSON pointer; null removes.
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
    // What is written is read again: the fixtures have every part of the format.
    audit(&Snapshot::parse(&snapshot.to_json()).unwrap())
}

fn found(report: &Report) -> BTreeSet<String> {
    report.findings.iter().map(|finding| finding.check.to_owned()).collect()
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
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_is_of_a_check() {
    let ids: BTreeSet<_> = checks().map(|check| format!("{}.json", check.id)).collect();
    for entry in fs::read_dir(folder().join("bad")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(ids.contains(&name), "{name} is of no check");
    }
    assert_eq!(ids.len(), checks().count(), "an id is there twice");
}

/// To write it anew: cargo run -p secretcache-access --example checks-page > docs/checks.md
#[test]
fn the_page_says_what_the_checks_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checks.md");
    assert!(
        fs::read_to_string(&file).unwrap() == page(),
        "docs/checks.md is old; run the example checks-page"
    );
    for check in checks() {
        assert!(page().contains(&format!("### `{}`", check.id)));
        assert!(check.title.len() < 110 && !check.why.is_empty() && !check.fix.is_empty(), "{}", check.id);
    }
}

/// GetSecretValue is a management event: whoever asks for data events is sent after something that does not exist.
#[test]
fn nobody_is_told_to_record_data_events() {
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
