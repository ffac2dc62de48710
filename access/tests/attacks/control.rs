//! Principals that can change a key's policy or grant its use, and services that act on behalf of any account.

use secretcache_access::audit::{Report, Severity};
use serde_json::{Value, json};

use super::{APP, OTHER, READ, SECRET, allow, found, of, policy, with};

const ROOT: &str = "arn:aws:iam::111122223333:root";

fn key_with(statement: &Value) -> Report {
    with(|json| json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap().push(statement.clone()))
}

#[test]
fn whoever_may_change_a_key_can_decrypt() {
    let mut all_but = allow("kms:Decrypt", json!({"AWS": OTHER}), json!({}));
    all_but.as_object_mut().unwrap().shift_remove("Action");
    all_but["NotAction"] = json!("kms:Decrypt");
    for (statement, who) in [
        (allow("kms:PutKeyPolicy", json!({"AWS": OTHER}), json!({})), OTHER),
        (allow("kms:CreateGrant", json!({"AWS": "444455556666"}), json!({})), "444455556666"),
        (allow("kms:Put*", json!({"AWS": "arn:aws:iam::444455556666:root"}), json!({})), "444455556666"),
        (allow("kms:*", json!({"AWS": OTHER}), json!({})), OTHER),
        (allow("*", json!({"AWS": [ROOT, OTHER]}), json!({})), OTHER),
        (all_but, OTHER),
        (
            allow(
                "kms:CreateGrant",
                json!("*"),
                json!({"StringEquals": {"kms:CallerAccount": "444455556666"}}),
            ),
            "444455556666",
        ),
        (
            allow(
                "kms:PutKeyPolicy",
                json!("*"),
                json!({"StringEquals": {"kms:CallerAccount": "111122223333"}}),
            ),
            "every principal of this account",
        ),
    ] {
        let report = key_with(&statement);
        let finding = of(&report, "key.policy-broad");
        assert_eq!(finding.severity, Severity::High, "{statement}");
        assert!(finding.seen.contains(who), "{finding:?}");
        // After the command, nothing else is open, and the account still administers the key.
        let after = fixed(&finding.run[0]);
        let report = with(|json| json["Keys"][0]["Policy"] = after.clone());
        assert!(!found(&report).contains("key.policy-broad"), "{after:#}");
        assert!(after.to_string().contains(ROOT), "{after:#}");
    }
    // A program of this account is less severe.
    for action in [json!("kms:PutKeyPolicy"), json!("kms:Create*"), json!(["kms:Decrypt", "kms:CreateGrant"])]
    {
        let report = key_with(&allow(action.clone(), json!({"AWS": APP}), json!({})));
        let finding = of(&report, "key.policy-broad");
        assert_eq!(finding.severity, Severity::Medium, "{action}");
        assert!(finding.seen.contains(APP), "{finding:?}");
    }
}

/// The document in a put-key-policy command.
fn fixed(command: &str) -> Value {
    let start = command.find('{').unwrap();
    serde_json::from_str(command[start..].trim_end_matches('\'')).unwrap()
}

#[test]
fn who_administers_a_key_and_what_services_do_with_it_is_no_finding() {
    let people = json!({"AWS": "arn:aws:iam::111122223333:role/people"});
    for statement in [
        allow("kms:PutKeyPolicy", json!({"AWS": ROOT}), json!({})),
        // The statement that the console creates.
        allow(json!(["kms:Create*", "kms:Put*"]), people, json!({})),
        allow("kms:CreateGrant", json!({"AWS": APP}), json!({"Bool": {"kms:GrantIsForAWSResource": "true"}})),
        allow(
            "kms:CreateGrant",
            json!({"AWS": OTHER}),
            json!({"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ),
        allow(
            "kms:CreateGrant",
            json!({"AWS": OTHER}),
            json!({"StringEquals": {"kms:ViaService": "rds.eu-central-1.amazonaws.com"}}),
        ),
        allow("kms:DescribeKey", json!({"AWS": OTHER}), json!({})),
    ] {
        let report = key_with(&statement);
        assert!(!found(&report).contains("key.policy-broad"), "{statement}: {:#?}", report.findings);
    }
}

#[test]
fn what_is_kept_out_may_not_change_the_key() {
    let report = with(|json| {
        let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
        all.push(allow("kms:PutKeyPolicy", json!({"AWS": APP}), json!({})));
        let own = json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"].as_array_mut().unwrap();
        own.push(json!({"Effect": "Deny", "Action": "kms:Put*", "Resource": "*"}));
    });
    assert!(!found(&report).contains("key.policy-broad"), "{report:#?}");
}

/// A service acts for whichever account asks it to.
#[test]
fn a_service_that_acts_for_anybody_is_a_finding() {
    let service = || json!({"Service": "appflow.amazonaws.com"});
    let of_secret =
        |statement: Value| with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([statement])));
    let of_key = |statement: Value| key_with(&statement);
    for condition in [
        json!({}),
        json!({"StringLike": {"aws:SourceAccount": "*"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:appflow:*:*:flow/x"}}),
        json!({"StringEqualsIfExists": {"aws:SourceAccount": "444455556666"}, "Bool": {"aws:SecureTransport": "true"}}),
        json!({"StringNotEquals": {"aws:SourceAccount": "444455556666"}}),
    ] {
        let report = of_secret(allow(READ, service(), condition.clone()));
        // A condition that names an account excludes all others.
        let is_named = condition["StringEqualsIfExists"].is_object();
        assert_eq!(found(&report).contains("sharing.service"), !is_named, "{condition}");
        if !is_named {
            let run = &of(&report, "sharing.service").run[0];
            assert!(run.contains(r#""aws:SourceAccount":"111122223333""#), "{run}");
        }
    }
    for condition in [
        json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:appflow:*:111122223333:*"}}),
        json!({"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}),
    ] {
        let statement = allow(READ, service(), condition.clone());
        assert!(!found(&of_secret(statement)).contains("sharing.service"), "{condition}");
        let statement = allow("kms:Decrypt", service(), condition.clone());
        assert!(!found(&of_key(statement)).contains("sharing.service"), "{condition}");
    }
    let report = of_key(allow("kms:Decrypt", service(), json!({})));
    assert_eq!(of(&report, "sharing.service").severity, Severity::Low);
    // The statement that CloudWatch Logs documents.
    let logs = allow(
        json!(["kms:Decrypt*", "kms:GenerateDataKey*"]),
        json!({"Service": "logs.eu-central-1.amazonaws.com"}),
        json!({"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-central-1:111122223333:*"}}),
    );
    assert!(!found(&of_key(logs)).contains("sharing.service"));
    assert!(
        !found(&of_secret(allow("secretsmanager:DescribeSecret", service(), json!({}))))
            .contains("sharing.service")
    );
    // Other principals of the statement keep their access.
    let both = json!({"Service": "appflow.amazonaws.com", "AWS": APP});
    let report = of_secret(allow(READ, both, json!({})));
    let after = fixed(&of(&report, "sharing.service").run[0]);
    assert_eq!(after["Statement"].as_array().unwrap().len(), 2);
    assert!(after["Statement"][0]["Condition"].get("StringEquals").is_none(), "{after:#}");
}

#[test]
fn a_wildcard_that_an_operator_does_not_take_is_none() {
    let pattern = SECRET.replace("AbCdEf", "??????");
    let report = with(|json| {
        let condition = &mut json["Keys"][0]["Policy"]["Statement"][1]["Condition"];
        condition.as_object_mut().unwrap().shift_remove("StringLike");
        condition["StringEquals"]["kms:EncryptionContext:SecretARN"] = json!(pattern);
    });
    let finding = of(&report, "key.context-mismatch");
    assert!(finding.seen.contains("StringEquals"), "{finding:?}");
    let after = fixed(&finding.run[0]);
    assert_eq!(
        after["Statement"][1]["Condition"],
        json!({"StringEquals": {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com",
                "kms:CallerAccount": "111122223333"},
            "StringLike": {"kms:EncryptionContext:SecretARN": pattern}})
    );
    let report = with(|json| json["Keys"][0]["Policy"] = after.clone());
    assert!(found(&report).is_empty(), "{report:#?}");
    // The service's Region is compared in the same way.
    let report = with(|json| {
        json["Keys"][0]["Policy"]["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"] =
            json!("secretsmanager.*.amazonaws.com");
    });
    assert!(found(&report).contains("key.via-service-mismatch"), "{report:#?}");
    // A negative condition is a different matter.
    let report = with(|json| {
        json["Keys"][0]["Policy"]["Statement"][1]["Condition"]["StringNotEquals"] =
            json!({"kms:EncryptionContext:SecretARN": SECRET.replace("/db-", "/other-")});
    });
    assert!(!found(&report).contains("key.context-mismatch"), "{report:#?}");
}
