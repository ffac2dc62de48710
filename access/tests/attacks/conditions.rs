//! Conditions on known facts about the caller, the time and the use of the key are decided.

use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, found, good, outcome, snapshot, with};

/// The outcome of the application's read if its policy has this condition.
fn reads_if(condition: Value) -> Outcome {
    outcome(
        |json| {
            let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
            statement["Condition"] = condition.clone();
        },
        0,
    )
}

#[test]
fn a_condition_on_what_is_known_is_decided() {
    for (condition, expected) in [
        (json!({"StringLike": {"aws:userId": "AROAAPP0000000000000:*"}}), Outcome::Allowed),
        (json!({"StringLike": {"aws:userId": "AROAOTHER00000000000:*"}}), Outcome::Denied),
        (json!({"StringNotLike": {"aws:userId": ["AROAOTHER00000000000:*"]}}), Outcome::Allowed),
        (json!({"StringLike": {"aws:userId": "AROAAPP0000000000000:i-*"}}), Outcome::Conditional),
        // The snapshot was taken on 2026-03-01.
        (json!({"NumericGreaterThan": {"aws:EpochTime": "1700000000"}}), Outcome::Allowed),
        (json!({"DateLessThan": {"aws:EpochTime": "1700000000"}}), Outcome::Denied),
        // Access that starts or ends later depends on the date.
        (json!({"DateGreaterThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}), Outcome::Conditional),
        (json!({"NumericGreaterThan": {"aws:EpochTime": "1900000000"}}), Outcome::Conditional),
        (json!({"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}}), Outcome::Conditional),
        (json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}), Outcome::Denied),
        (json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), Outcome::Denied),
        (json!({"StringEquals": {"secretsmanager:SecretPrimaryRegion": "eu-central-1"}}), Outcome::Allowed),
        (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), Outcome::Conditional),
    ] {
        assert_eq!(reads_if(condition.clone()), expected, "{condition}");
    }
}

#[test]
fn a_grant_of_every_secret_that_begins_later_is_found() {
    let is_found = |time: &str, operator: &str| {
        let report = with(|json| {
            let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
            statement["Resource"] = json!("*");
            statement["Condition"] = json!({operator: {"aws:CurrentTime": time}});
        });
        found(&report).contains("access.all-secrets")
    };
    assert!(is_found("2026-04-01T00:00:00Z", "DateGreaterThan"));
    assert!(!is_found("2026-02-01T00:00:00Z", "DateLessThan"));
}

#[test]
fn a_deny_that_begins_later_keeps_nobody_out_of_the_account_yet() {
    let report = |time: &str| {
        with(|json| {
            json["Secrets"][0]["ResourcePolicy"]["Statement"][0]["Condition"]["DateGreaterThan"] =
                json!({"aws:CurrentTime": time});
        })
    };
    assert!(found(&report("2026-04-01T00:00:00Z")).contains("sharing.open-to-account"));
    assert!(!found(&report("2026-02-01T00:00:00Z")).contains("sharing.open-to-account"));
}

#[test]
fn who_reads_another_label_reads() {
    let only = |label: &str| reads_if(json!({"StringEquals": {"secretsmanager:VersionStage": label}}));
    assert_eq!(only("AWSCURRENT"), Outcome::Allowed);
    assert_eq!(only("AWSPREVIOUS"), Outcome::Conditional);
}

#[test]
fn tags_that_come_with_a_session_may_be_there() {
    let reads = |action: &str| {
        outcome(
            |json| {
                let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
                statement["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": "checkout"}});
                json["Principals"][0]["TrustPolicy"] = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                    "Action": action, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}]});
            },
            0,
        )
    };
    assert_eq!(reads("sts:AssumeRole"), Outcome::Denied);
    assert_eq!(reads("sts:TagSession"), Outcome::Conditional);
}

#[test]
fn without_a_time_nothing_is_too_late() {
    let timeless = |json: &mut Value| {
        drop(json.as_object_mut().unwrap().remove("TakenAt"));
        let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
        statement["Condition"] = json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}});
    };
    assert_eq!(outcome(timeless, 0), Outcome::Conditional);
}

#[test]
fn the_encryption_context_of_a_secret_has_two_keys() {
    let decrypts_if = |condition: Value| {
        outcome(|json| json["Keys"][0]["Policy"]["Statement"][1]["Condition"] = condition.clone(), 0)
    };
    for (condition, expected) in [
        (json!({"StringEquals": {"kms:EncryptionContext:Tenant": "a"}}), Outcome::Denied),
        (json!({"Null": {"kms:EncryptionContext:Tenant": "true"}}), Outcome::Allowed),
        (json!({"Null": {"kms:EncryptionContext:SecretVersionId": "false"}}), Outcome::Allowed),
        (json!({"StringEquals": {"kms:EncryptionContext:SecretVersionId": "v"}}), Outcome::Conditional),
        (json!({"StringLike": {"kms:EncryptionContext:SecretVersionId": "*"}}), Outcome::Allowed),
    ] {
        assert_eq!(decrypts_if(condition.clone()), expected, "{condition}");
    }
}

#[test]
fn a_tag_of_any_value_or_of_none_is_no_scope() {
    let is_found = |condition: &Value, resource: Value| {
        let report = with(|json| {
            let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
            statement[if resource == json!("*") { "Resource" } else { "NotResource" }] = resource.clone();
            if resource != json!("*") {
                statement.as_object_mut().unwrap().remove("Resource");
            }
            statement["Condition"] = condition.clone();
            json["Secrets"][0]["Tags"] = json!({"owner": "checkout", "team": "pay"});
            // Its sessions can set tags.
            json["Principals"][0]["TrustPolicy"]["Statement"][0]["Action"] =
                json!(["sts:AssumeRole", "sts:TagSession"]);
        });
        let found = found(&report);
        found.contains("access.all-secrets") || found.contains("access.not-resource")
    };
    let other = json!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:other-AbCdEf");
    for (condition, expected) in [
        (json!({"StringNotEquals": {"aws:ResourceTag/secret": "yes"}}), true),
        (json!({"StringEqualsIfExists": {"aws:ResourceTag/secret": "yes"}}), true),
        (json!({"StringLike": {"aws:ResourceTag/owner": "*"}}), true),
        (json!({"Null": {"secretsmanager:ResourceTag/owner": "false"}}), true),
        (
            json!({"Null": {"aws:ResourceTag/owner": "false", "aws:ResourceTag/none": "true"},
                "StringNotEquals": {"aws:ResourceTag/secret": "yes"}}),
            true,
        ),
        (json!({"StringEquals": {"aws:ResourceTag/owner": "checkout"}}), false),
        (json!({"StringLike": {"aws:ResourceTag/owner": "check*"}}), false),
        (json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}), false),
    ] {
        assert_eq!(is_found(&condition, json!("*")), expected, "{condition}");
        assert_eq!(is_found(&condition, other.clone()), expected, "{condition}");
    }
}

#[test]
fn a_session_that_a_deny_spares_beside_its_role_is_one_of_many() {
    let session = "arn:aws:sts::111122223333:assumed-role/app/one";
    let read = |spared: Value| {
        let mut json = good();
        json["Secrets"][0]["ResourcePolicy"] = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny",
            "NotPrincipal": {"AWS": spared}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]});
        let snapshot = snapshot(json);
        let access = Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[0]);
        let depends: Vec<_> = access.secret.depends_on.iter().map(|cited| cited.depends_on()).collect();
        (access.outcome(), depends)
    };
    let root = "arn:aws:iam::111122223333:root";
    assert_eq!(read(json!([APP, root])), (Outcome::Allowed, Vec::new()));
    let depends = vec![format!("the session is not {session}")];
    assert_eq!(read(json!([APP, root, session])), (Outcome::Conditional, depends));
    assert_eq!(read(json!([root, session])).0, Outcome::Denied);
}

#[test]
fn what_an_answer_depends_on_is_named() {
    let depends = |edit: &dyn Fn(&mut Value)| {
        let mut json = good();
        edit(&mut json);
        let snapshot = snapshot(json);
        let access = Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[0]);
        access.secret.depends_on.iter().map(|cited| cited.depends_on()).collect::<Vec<_>>()
    };
    let session = "arn:aws:sts::111122223333:assumed-role/app/one";
    let by_session = |json: &mut Value| {
        json["Principals"][0]["InlinePolicies"] = json!([]);
        json["Secrets"][0]["ResourcePolicy"] = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": session}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]});
    };
    assert_eq!(depends(&by_session), [format!("the session is {session}")]);
    let by_variable = |json: &mut Value| {
        json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0]["Resource"] =
            json!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/${aws:SourceIdentity}/*");
    };
    let path = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/${aws:SourceIdentity}/*";
    assert_eq!(depends(&by_variable), [format!("the resource matches {path}")]);
    let by_exception = |json: &mut Value| {
        let statement = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0];
        statement.as_object_mut().unwrap().remove("Resource");
        statement["NotResource"] = json!(path);
    };
    assert_eq!(depends(&by_exception), [format!("the resource does not match {path}")]);
}
