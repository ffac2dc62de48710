//! Permissions to invoke the rotation function.

use secretcache_access::audit::Report;
use serde_json::{Value, json};

use super::{SECRET, found, of, policy, with};

/// A statement of the rotation function's policy, with this principal and condition.
fn invoked(principal: Value, condition: Value) -> Value {
    let function = "arn:aws:lambda:eu-central-1:111122223333:function:rotate-MultiUser";
    json!({"Sid": "rotation", "Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction",
        "Resource": function, "Condition": condition})
}

fn function_with(statements: Value) -> Report {
    with(|json| json["Functions"][0]["Policy"] = policy(statements.clone()))
}

const MANAGER: &str = "secretsmanager.amazonaws.com";

#[test]
fn whether_the_function_may_be_invoked_is_what_its_conditions_say() {
    let open = ["sharing.function-permission"];
    let closed = ["sharing.function-not-permitted"];
    let service = || json!({"Service": MANAGER});
    for (principal, condition, expected) in [
        (service(), json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), &[][..]),
        (service(), json!({"ArnLike": {"aws:SourceArn": SECRET.replace("db-AbCdEf", "*")}}), &[]),
        (service(), json!({"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}), &[]),
        (service(), json!({}), &open),
        (service(), json!({"ArnLike": {"aws:SourceArn": "arn:aws:secretsmanager:*:*:secret:*"}}), &open),
        (service(), json!({"StringLike": {"aws:SourceAccount": "*"}}), &open),
        (service(), json!({"StringNotEquals": {"aws:SourceAccount": "999999999999"}}), &open),
        (service(), json!({"StringEquals": {"aws:SourceAccount": "999999999999"}}), &closed),
        (service(), json!({"ArnLike": {"aws:SourceArn": SECRET.replace("AbCdEf", "GhIjKl")}}), &closed),
        (service(), json!({"StringEquals": {"aws:SourceOrgID": "o-0a0a0a0a0a"}}), &closed),
        (json!("*"), json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), &[]),
        (json!("*"), json!({"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}), &closed),
        (json!("*"), json!({}), &open),
        (json!({"Service": "events.amazonaws.com"}), json!({}), &closed),
    ] {
        let report = function_with(json!([invoked(principal, condition.clone())]));
        assert_eq!(Vec::from_iter(found(&report)), expected, "{condition}");
    }
    let report = function_with(json!([invoked(json!("*"), json!({}))]));
    assert!(of(&report, open[0]).seen.contains("everyone"));
    let mut deny = invoked(service(), json!({}));
    deny["Effect"] = json!("Deny");
    deny["Sid"] = json!("not");
    let report = function_with(json!([invoked(service(), json!({})), deny]));
    assert!(of(&report, closed[0]).seen.contains("statement not denies"), "{report:#?}");
    assert!(of(&report, closed[0]).run.is_empty());
}

#[test]
fn a_new_permission_takes_no_name_that_is_there() {
    let mut other = invoked(json!({"Service": "events.amazonaws.com"}), json!({}));
    other["Sid"] = json!("SecretsManagerRotation");
    let report = function_with(json!([other]));
    let run = &of(&report, "sharing.function-not-permitted").run[0];
    assert!(run.contains("--statement-id SecretsManagerRotation2 "), "{run}");
}

#[test]
fn an_alias_has_a_policy_of_its_own() {
    let report = with(|json| {
        let alias = json["Secrets"][0]["RotationLambdaARN"].as_str().unwrap().to_owned() + ":live";
        json["Secrets"][0]["RotationLambdaARN"] = json!(alias);
        json["Functions"][0].as_object_mut().unwrap().remove("Policy");
    });
    assert!(!found(&report).contains("sharing.function-not-permitted"), "{report:#?}");
    assert!(report.not_checked.iter().any(|it| it.check == "sharing.function-not-permitted"));
}
