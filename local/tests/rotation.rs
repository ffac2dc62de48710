//! RotateSecret and CancelRotateSecret: responses, effects and errors.

mod world;

use secretcache_local::ErrorCode::*;
use secretcache_local::{EventName, Functions};
use serde_json::{Value, json};
use world::{World, refused, text, token};

const FUNCTION: &str =
    "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotationSingleUser";

fn rotate(w: &mut World, more: Value) -> world::Answer {
    let mut parameters = json!({"SecretId": "db", "RotationLambdaARN": FUNCTION});
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    w.sdk("RotateSecret", parameters)
}

fn describe(w: &mut World) -> Value {
    w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap()
}

#[test]
fn the_version_exists_before_it_has_a_value() {
    let mut w = World::new();
    let (arn, v1) = w.create("db", "{}");
    w.seconds_pass(5);
    let answer = rotate(&mut w, json!({"RotationRules": {"AutomaticallyAfterDays": 30}})).unwrap();
    let v2 = text(&answer["VersionId"]);
    assert_eq!(answer, json!({"ARN": arn, "Name": "db", "VersionId": v2}));
    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], &v2: ["AWSPENDING"]}));
    let listed = w.call("ListSecretVersionIds", json!({"SecretId": "db"})).unwrap();
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 1, "a version without a value is not listed");
    for parameters in
        [json!({"SecretId": "db", "VersionId": v2}), json!({"SecretId": "db", "VersionStage": "AWSPENDING"})]
    {
        refused(
            w.call("GetSecretValue", parameters),
            ResourceNotFound,
            "can't find the specified secret value",
        );
    }
    assert_eq!(w.events, [EventName::RotationStarted]);
}

#[test]
fn the_configuration_is_shown_where_it_was_set_and_nowhere_else() {
    let mut w = World::new();
    w.create("db", "{}");
    let before = describe(&mut w);
    assert!(before.get("RotationEnabled").is_none() && before.get("NextRotationDate").is_none());
    rotate(&mut w, json!({"RotationRules": {"ScheduleExpression": "rate(10 days)", "Duration": "3h"}}))
        .unwrap();
    let shown = describe(&mut w);
    assert_eq!(shown["RotationEnabled"], json!(true));
    assert_eq!(shown["RotationLambdaARN"], json!(FUNCTION));
    assert_eq!(shown["RotationRules"], json!({"ScheduleExpression": "rate(10 days)", "Duration": "3h"}));
    assert!(shown.get("LastRotatedDate").is_none(), "it has not succeeded yet");
    // 2023-11-24 02:59:59, ten days after 2023-11-14, in a window of three hours.
    assert_eq!(shown["NextRotationDate"], json!(1_700_794_799.0));
    let listed = w.call("ListSecrets", json!({})).unwrap();
    assert_eq!(listed["SecretList"][0]["NextRotationDate"], shown["NextRotationDate"]);

    w.call("CancelRotateSecret", json!({"SecretId": "db"})).unwrap();
    let off = describe(&mut w);
    assert_eq!(off["RotationEnabled"], json!(false));
    assert_eq!(off["RotationRules"], shown["RotationRules"]);
    assert!(off.get("NextRotationDate").is_none());
}

#[test]
fn an_unfinished_rotation_bars_the_next_one() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "{}");
    let v2 = text(&rotate(&mut w, json!({})).unwrap()["VersionId"]);
    let before = w.store.clone();
    let message = "A previous rotation isn't complete. That rotation will be reattempted.";
    refused(rotate(&mut w, json!({})), InvalidRequest, message);
    refused(rotate(&mut w, json!({"RotateImmediately": false})), InvalidRequest, message);
    assert!(before.all().eq(w.store.all()), "a refused call changes nothing");

    // A rotation may leave the label on the current version.
    let stage = json!({"SecretId": "db", "VersionStage": "AWSPENDING", "RemoveFromVersionId": v2, "MoveToVersionId": v1});
    w.call("UpdateSecretVersionStage", stage).unwrap();
    let v3 = text(&rotate(&mut w, json!({})).unwrap()["VersionId"]);
    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], &v3: ["AWSPENDING"]}));
    use EventName::*;
    assert_eq!(w.events, [RotationStarted, RotationAbandoned, RotationStarted]);
}

#[test]
fn a_label_put_by_hand_bars_it_as_well() {
    let mut w = World::new();
    w.create("db", "{}");
    w.put("db", "{\"a\":1}", Some(&["AWSPENDING"]));
    refused(rotate(&mut w, json!({})), InvalidRequest, "A previous rotation isn't complete");
}

#[test]
fn the_same_token_starts_one_rotation() {
    let mut w = World::new();
    let (arn, v1) = w.create("db", "{}");
    let first = rotate(&mut w, json!({"ClientRequestToken": token(77)})).unwrap();
    assert_eq!(rotate(&mut w, json!({"ClientRequestToken": token(77)})).unwrap(), first);
    assert_eq!(w.events.len(), 1);
    w.call("CancelRotateSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!(
        rotate(&mut w, json!({"ClientRequestToken": token(77)})).unwrap(),
        first,
        "no new rotation later either"
    );

    let clear = json!({"SecretId": "db", "VersionStage": "AWSPENDING", "RemoveFromVersionId": token(77)});
    w.call("UpdateSecretVersionStage", clear).unwrap();
    let message = format!("already in use for a version of secret {arn}");
    refused(rotate(&mut w, json!({"ClientRequestToken": v1})), InvalidRequest, &message);
    let raw = json!({"SecretId": "db", "RotationLambdaARN": FUNCTION});
    refused(w.call("RotateSecret", raw), InvalidRequest, "You must provide a ClientRequestToken value.");
}

#[test]
fn a_value_stored_by_hand_abandons_the_rotation() {
    for operation in ["PutSecretValue", "UpdateSecret"] {
        let mut w = World::new();
        let (_, v1) = w.create("db", "{}");
        let v2 = text(&rotate(&mut w, json!({})).unwrap()["VersionId"]);
        let own = json!({"SecretId": "db", "ClientRequestToken": v2, "SecretString": "{\"new\":1}", "VersionStages": ["AWSPENDING"]});
        w.call("PutSecretValue", own).unwrap();
        assert_eq!(w.events, [EventName::RotationStarted], "the rotation's own value does not abandon it");
        let by_hand = json!({"SecretId": "db", "SecretString": "{\"by\":\"hand\"}"});
        let v3 = text(&w.sdk(operation, by_hand).unwrap()["VersionId"]);
        assert_eq!(w.labels("db"), json!({&v1: ["AWSPREVIOUS"], &v3: ["AWSCURRENT"]}), "{operation}");
        assert_eq!(w.events, [EventName::RotationStarted, EventName::RotationAbandoned]);
        rotate(&mut w, json!({})).unwrap();
    }
}

#[test]
fn a_value_stored_by_hand_counts_as_a_rotation_for_the_schedule() {
    let mut w = World::new();
    w.create("db", "{}");
    rotate(&mut w, json!({"RotationRules": {"AutomaticallyAfterDays": 10}})).unwrap();
    let first = describe(&mut w)["NextRotationDate"].as_f64().unwrap();
    w.days_pass(4);
    w.put("db", "{\"other\": 1}", Some(&["blue"]));
    assert_eq!(describe(&mut w)["NextRotationDate"], json!(first), "only a new current value counts");
    w.put("db", "{\"new\": 1}", None);
    assert_eq!(describe(&mut w)["NextRotationDate"], json!(first + 4.0 * 86_400.0));
}

#[test]
fn cancelling_leaves_the_labels_and_names_the_version() {
    let mut w = World::new();
    let (arn, v1) = w.create("db", "{}");
    let v2 = text(&rotate(&mut w, json!({})).unwrap()["VersionId"]);
    let cancel = json!({"SecretId": "db"});
    let answer = w.call("CancelRotateSecret", cancel.clone()).unwrap();
    assert_eq!(answer, json!({"ARN": arn, "Name": "db", "VersionId": v2}));
    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], &v2: ["AWSPENDING"]}));
    let again = w.call("CancelRotateSecret", cancel).unwrap();
    assert_eq!(again, json!({"ARN": arn, "Name": "db"}), "no rotation is in progress any more");
    refused(rotate(&mut w, json!({})), InvalidRequest, "A previous rotation isn't complete");
    let clear = json!({"SecretId": "db", "VersionStage": "AWSPENDING", "RemoveFromVersionId": v2});
    w.call("UpdateSecretVersionStage", clear).unwrap();
    rotate(&mut w, json!({})).unwrap();
}

#[test]
fn a_test_is_made_with_a_copy_of_the_current_value() {
    let mut w = World::new();
    w.create("db", "{\"password\":\"p\"}");
    let version = text(&rotate(&mut w, json!({"RotateImmediately": false})).unwrap()["VersionId"]);
    let pending = w.call("GetSecretValue", json!({"SecretId": "db", "VersionStage": "AWSPENDING"})).unwrap();
    assert_eq!(
        (text(&pending["VersionId"]), text(&pending["SecretString"])),
        (version, "{\"password\":\"p\"}".to_owned())
    );
    assert_eq!(w.events, [EventName::TestRotationStarted]);
    w.call("CancelRotateSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!(w.labels("db").as_object().unwrap().len(), 1, "a test leaves nothing behind");
}

#[test]
fn stored_configuration_is_used_again() {
    let mut w = World::new();
    w.create("db", "{}");
    rotate(&mut w, json!({"RotateImmediately": false, "RotationRules": {"AutomaticallyAfterDays": 5}}))
        .unwrap();
    w.call("CancelRotateSecret", json!({"SecretId": "db"})).unwrap();
    w.sdk("RotateSecret", json!({"SecretId": "db"})).unwrap();
    let shown = describe(&mut w);
    assert_eq!((&shown["RotationEnabled"], &shown["RotationLambdaARN"]), (&json!(true), &json!(FUNCTION)));
    assert_eq!(shown["RotationRules"], json!({"AutomaticallyAfterDays": 5}));
}

#[test]
fn what_is_refused() {
    let mut w = World::new();
    w.create("db", "{}");
    refused(
        w.sdk("RotateSecret", json!({"SecretId": "nope"})),
        ResourceNotFound,
        "can't find the specified secret",
    );
    let no_function = "No Lambda rotation function ARN is associated with this secret.";
    refused(w.sdk("RotateSecret", json!({"SecretId": "db"})), InvalidRequest, no_function);
    refused(w.call("CancelRotateSecret", json!({"SecretId": "db"})), InvalidRequest, no_function);
    let rules = json!({"RotationRules": {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}});
    refused(rotate(&mut w, rules), InvalidParameter, "both");
    let rules = json!({"RotationRules": {"ScheduleExpression": "cron(5 * * * ? *)"}});
    refused(rotate(&mut w, rules), InvalidParameter, "cron(5 * * * ? *)");
    let other = json!({"RotationLambdaARN": "arn:aws:lambda:us-east-1:111122223333:function:mine"});
    refused(rotate(&mut w, other.clone()), AccessDenied, "the principal secretsmanager.amazonaws.com.");
    assert!(describe(&mut w).get("RotationEnabled").is_none(), "a refused call configures nothing");
    w.functions = Functions::Any;
    rotate(&mut w, other).unwrap();

    w.create("gone", "{}");
    w.call("DeleteSecret", json!({"SecretId": "gone"})).unwrap();
    for operation in ["RotateSecret", "CancelRotateSecret"] {
        let parameters = json!({"SecretId": "gone", "RotationLambdaARN": FUNCTION});
        refused(w.sdk(operation, parameters), InvalidRequest, "marked for deletion");
    }
}

#[test]
fn managed_external_secrets_are_configured_and_not_rotated() {
    let mut w = World::new();
    w.create("db", "{}");
    let mut external = json!({
        "SecretId": "db",
        "ExternalSecretRotationMetadata": [{"Key": "adminSecretArn", "Value": "x"}],
        "ExternalSecretRotationRoleArn": "arn:aws:iam::123456789012:role/rotate",
    });
    refused(w.sdk("RotateSecret", external.clone()), UnsupportedOperation, "RotateImmediately=false");
    external["RotateImmediately"] = json!(false);
    let answer = w.sdk("RotateSecret", external.clone()).unwrap();
    assert!(answer.get("VersionId").is_none());
    let shown = describe(&mut w);
    for member in ["ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn"] {
        assert_eq!(shown[member], external[member]);
    }
    assert_eq!(shown["RotationEnabled"], json!(true));
}
