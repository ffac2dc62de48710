//! Adversarial tests: policies that look closed but are open, incomplete snapshots, and fixes that would break what
//! works.

mod alarms;
mod becoming;
mod conditions;
mod control;
mod endpoints;
mod fixes;
mod functions;
mod jobs;
mod keys;
mod metrics;
mod networks;
mod paths;
mod policies;
mod printed;
mod readers;
mod sharing;
mod spared;
mod strangers;
mod trust;
mod unknown;

use std::collections::BTreeSet;

use secretcache_access::Snapshot;
use secretcache_access::audit::{Finding, Report, audit};
use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

const APP: &str = "arn:aws:iam::111122223333:role/app";
const ROTATION: &str = "arn:aws:iam::111122223333:role/rotation";
const OTHER: &str = "arn:aws:iam::444455556666:role/x";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf";
const READ: &str = "secretsmanager:GetSecretValue";

fn good() -> Value {
    serde_json::from_str(include_str!("../checks/good.json")).unwrap()
}

fn snapshot(json: Value) -> Snapshot {
    let snapshot: Snapshot = serde_json::from_value(json).unwrap();
    Snapshot::parse(&snapshot.to_json()).unwrap()
}

fn with(edit: impl Fn(&mut Value)) -> Report {
    let mut json = good();
    edit(&mut json);
    let report = audit(&snapshot(json));
    // IAM, KMS and Secrets Manager refuse a policy with duplicate Sids; moto accepts it.
    for document in report.findings.iter().flat_map(|it| &it.run).flat_map(|run| documents(run)) {
        let sids: Vec<_> = document["Statement"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["Sid"].as_str())
            .collect();
        assert_eq!(sids.iter().collect::<BTreeSet<_>>().len(), sids.len(), "{document}");
    }
    report
}

/// The policies in a command.
fn documents(run: &str) -> Vec<Value> {
    let words = run.replace(r"'\''", "\u{0}");
    let quoted = words.split('\'').map(|word| word.replace('\u{0}', "'"));
    let parsed = quoted.filter_map(|word| serde_json::from_str::<Value>(&word).ok());
    parsed.filter(|document| document["Statement"].is_array()).collect()
}

fn found(report: &Report) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.check).collect()
}

fn of<'r>(report: &'r Report, check: &str) -> &'r Finding {
    let mut all = report.findings.iter().filter(|finding| finding.check == check);
    all.next().unwrap_or_else(|| panic!("no {check} in {:#?}", report.findings))
}

fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(action: impl Into<Value>, principal: Value, condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": action.into(), "Principal": principal, "Resource": "*", "Condition": condition})
}

/// Replaces the secret's policy with these statements, so the Deny that keeps others out is gone.
fn shared(statements: Value) -> Report {
    with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(statements.clone()))
}

fn outcome(edit: impl Fn(&mut Value), place: usize) -> Outcome {
    let mut json = good();
    edit(&mut json);
    let snapshot = snapshot(json);
    Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[place]).outcome()
}
