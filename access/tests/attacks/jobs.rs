//! Rotation by a job: only the operator can name it.

use secretcache_access::audit::Report;
use serde_json::{Value, json};

use super::{SECRET, found, of, with};

const JOB: &str = "arn:aws:iam::111122223333:role/ci";

fn grants(actions: &[&str]) -> Value {
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": actions, "Resource": SECRET},
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*"},
        {"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"}]});
    json!([{"Name": "own", "Document": document}])
}

const ROTATES: [&str; 4] = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
];

/// An account whose secret is rotated by no function, with a role for CI.
fn by_job(actions: &[&str], edit: impl Fn(&mut Value)) -> Report {
    with(|json| {
        let secret = &mut json["Secrets"][0];
        secret["RotationEnabled"] = json!(false);
        for name in ["RotationLambdaARN", "RotationRules", "NextRotationDate"] {
            secret.as_object_mut().unwrap().remove(name);
        }
        secret["ResourcePolicy"]["Statement"][0]["Condition"] = json!({"StringNotEquals": {"aws:PrincipalArn":
            ["arn:aws:iam::111122223333:role/app", JOB]}});
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}]});
        let role = json!({"Arn": JOB, "InlinePolicies": grants(actions), "TrustPolicy": trust});
        json["Principals"].as_array_mut().unwrap().push(role);
        json["Principals"].as_array_mut().unwrap().remove(1);
        json["Functions"] = json!([]);
        json["Keys"][0]["Policy"]["Statement"] = json!([
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Resource": "*",
             "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Condition": {
                "StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"},
                "StringLike": {"kms:EncryptionContext:SecretARN": SECRET}}}]);
        edit(json);
    })
}

fn named(json: &mut Value) {
    json["RotatedBy"] = json!([JOB]);
}

#[test]
fn whom_the_operator_names_rotates() {
    let before = by_job(&ROTATES, |_| ());
    let expected = ["access.application-writes", "rotation.off"];
    assert!(expected.iter().all(|check| found(&before).contains(check)), "{before:#?}");
    let report = by_job(&ROTATES, named);
    assert!(expected.iter().all(|check| !found(&report).contains(check)), "{report:#?}");
    let rest = |report: &Report| {
        found(report).into_iter().filter(|it| !expected.contains(it)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rest(&before), rest(&report));
}

#[test]
fn whoever_is_named_and_may_not_rotate_silences_nothing() {
    for missing in &ROTATES[1..] {
        let actions: Vec<_> = ROTATES.into_iter().filter(|it| it != missing).collect();
        let report = by_job(&actions, named);
        let finding = of(&report, "rotation.off");
        assert!(finding.seen.contains(JOB), "{finding:?}");
        // No command may keep it from rotating once it has the missing permission.
        let writes = report.findings.iter().find(|it| it.check == "access.application-writes");
        assert!(writes.is_none_or(|finding| finding.run.is_empty()), "{writes:?}");
    }
    let elsewhere = by_job(&ROTATES, |json| json["RotatedBy"] = json!(["arn:aws:iam::444455556666:role/ci"]));
    assert!(
        found(&elsewhere).contains("rotation.off") && found(&elsewhere).contains("access.application-writes")
    );
    let without_key = by_job(&ROTATES, |json| {
        named(json);
        json["Keys"][0]["Policy"]["Statement"][0]["Action"] = json!("kms:Decrypt");
    });
    assert!(found(&without_key).contains("rotation.off"), "{without_key:#?}");
    let writes = of(&without_key, "access.application-writes");
    assert!(writes.run.is_empty() && writes.advice.as_ref().unwrap().contains("policy ci"), "{writes:?}");
}

#[test]
fn no_tag_says_who_rotates() {
    for (at, name) in [("/Secrets/0/Tags", "secretcache:rotated-by"), ("/Secrets/0/Tags", "secretcache:role")]
    {
        let report = by_job(&ROTATES, |json| json.pointer_mut(at).unwrap()[name] = json!(JOB));
        assert!(found(&report).contains("rotation.off"), "{name}");
    }
}

#[test]
fn a_job_is_judged_by_the_age_of_the_current_version() {
    let report = by_job(&ROTATES, |json| {
        named(json);
        json["Secrets"][0]["Versions"][0]["CreatedDate"] = json!("2025-10-01T03:10:00Z");
        // Anyone who can tag the secret changes this date.
        json["Secrets"][0]["LastChangedDate"] = json!("2026-02-28T03:10:00Z");
    });
    let finding = of(&report, "rotation.old");
    assert!(finding.advice.as_ref().unwrap().contains(JOB), "{finding:?}");
}

#[test]
fn what_a_job_may_do_beyond_rotating_is_still_found() {
    let actions = [&ROTATES[..], &["secretsmanager:DeleteSecret"]].concat();
    let report = by_job(&actions, named);
    let finding = of(&report, "access.application-writes");
    assert_eq!(finding.seen, "can read it and call DeleteSecret");
    // The command keeps the permissions that it needs for rotating.
    assert!(
        finding.run[0].contains("DeleteSecret") && !finding.run[0].contains("PutSecretValue"),
        "{finding:?}"
    );
    let wide = by_job(&ROTATES, |json| {
        named(json);
        let policies = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
        policies["InlinePolicies"][0]["Document"]["Statement"][0]["Resource"] = json!("*");
    });
    assert!(found(&wide).contains("access.rotation-wide"), "{wide:#?}");
    assert!(!found(&wide).contains("access.all-secrets"), "{wide:#?}");
}

#[test]
fn an_application_is_no_operator_by_a_tag_that_it_may_write() {
    let tagged = |more: &'static [&'static str], on: &'static str| {
        by_job(&ROTATES, move |json| {
            let role = json["Principals"].as_array_mut().unwrap().last_mut().unwrap();
            role["Tags"] = json!({"secretcache:role": "operator"});
            let statements = role["InlinePolicies"][0]["Document"]["Statement"].as_array_mut().unwrap();
            statements.push(json!({"Effect": "Allow", "Action": more, "Resource": on}));
        })
    };
    let is_found = |report: &Report| found(report).contains("access.application-writes");
    assert!(!is_found(&tagged(&["iam:GetRole"], JOB)));
    assert!(!is_found(&tagged(&["iam:TagRole"], "arn:aws:iam::111122223333:role/other")));
    let report = tagged(&["iam:TagRole"], JOB);
    assert!(of(&report, "access.application-writes").seen.contains("does not count"), "{report:#?}");
    // A principal that can grant the role permissions needs no tag.
    assert!(!is_found(&tagged(&["iam:TagRole", "iam:PutRolePolicy"], "*")));
}
