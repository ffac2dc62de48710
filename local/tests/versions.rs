//! Versions, staging labels and tokens.

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use secretcache_local::Change;
use secretcache_local::ErrorCode::*;
use serde_json::json;
use world::{World, refused, text, token};

#[test]
fn a_new_value_becomes_current_and_the_old_one_previous() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", None);
    assert_eq!(w.labels("db"), json!({&v1: ["AWSPREVIOUS"], &v2: ["AWSCURRENT"]}));
    let v3 = w.put("db", "three", None);
    assert_eq!(w.labels("db"), json!({&v2: ["AWSPREVIOUS"], &v3: ["AWSCURRENT"]}));
    assert_eq!(w.get("db").unwrap(), "three");
}

#[test]
fn the_same_token_with_the_same_value_is_ignored() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let put = json!({"SecretId": "db", "SecretString": "two", "ClientRequestToken": token(50)});
    let first = w.call("PutSecretValue", put.clone()).unwrap();
    w.put("db", "three", None);
    let labels = w.labels("db");
    let again = w.call("PutSecretValue", put).unwrap();
    assert_eq!(again["VersionId"], first["VersionId"]);
    assert_eq!(again["VersionStages"], json!(["AWSPREVIOUS"]), "the current labels, not the requested ones");
    assert_eq!(w.labels("db"), labels, "a repeated request does not move labels back");
    assert!(labels.get(&v1).is_none());
}

#[test]
fn the_same_token_with_another_value_is_refused() {
    let mut w = World::new();
    let (arn, v1) = w.create("db", "one");
    let message = format!(
        "You can't use ClientRequestToken {v1} because that value is already in use for a version of secret {arn}"
    );
    for operation in ["PutSecretValue", "UpdateSecret"] {
        let other = json!({"SecretId": "db", "SecretString": "other", "ClientRequestToken": v1});
        refused(w.call(operation, other), ResourceExists, &message);
        let binary = json!({"SecretId": "db", "SecretBinary": "b25l", "ClientRequestToken": v1});
        refused(w.call(operation, binary), ResourceExists, &message);
    }
    assert_eq!(w.get("db").unwrap(), "one");
}

#[test]
fn create_is_idempotent_by_token_only() {
    let mut w = World::new();
    let create = json!({"Name": "db", "SecretString": "one", "ClientRequestToken": token(9)});
    let first = w.call("CreateSecret", create.clone()).unwrap();
    assert_eq!(w.call("CreateSecret", create.clone()).unwrap(), first);
    refused(
        w.call("CreateSecret", json!({"Name": "db", "SecretString": "two", "ClientRequestToken": token(9)})),
        ResourceExists,
        "You can't use ClientRequestToken",
    );
    refused(
        w.sdk("CreateSecret", json!({"Name": "db", "SecretString": "one"})),
        ResourceExists,
        "The operation failed because the secret db already exists.",
    );
}

#[test]
fn a_raw_request_must_bring_its_token() {
    let mut w = World::new();
    w.create("db", "one");
    for (operation, parameters) in [
        ("CreateSecret", json!({"Name": "x"})),
        ("PutSecretValue", json!({"SecretId": "db", "SecretString": "x"})),
        ("UpdateSecret", json!({"SecretId": "db", "SecretString": "x"})),
    ] {
        refused(
            w.call(operation, parameters.clone()),
            InvalidRequest,
            "You must provide a ClientRequestToken value.",
        );
        for bad in ["x".repeat(31), "x".repeat(65)] {
            let mut parameters = parameters.clone();
            parameters["ClientRequestToken"] = json!(bad);
            refused(
                w.call(operation, parameters),
                InvalidParameter,
                "ClientRequestToken must be 32-64 characters long.",
            );
        }
    }
}

#[test]
fn a_whole_rotation_by_hand() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", Some(&["AWSPENDING"]));
    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], &v2: ["AWSPENDING"]}));
    assert_eq!(w.get("db").unwrap(), "one");
    let pending = json!({"SecretId": "db", "VersionStage": "AWSPENDING", "VersionId": v2});
    assert_eq!(w.call("GetSecretValue", pending).unwrap()["SecretString"], "two");

    let finish = json!({"SecretId": "db", "VersionStage": "AWSCURRENT", "MoveToVersionId": v2, "RemoveFromVersionId": v1});
    w.call("UpdateSecretVersionStage", finish.clone()).unwrap();
    assert_eq!(w.labels("db"), json!({&v1: ["AWSPREVIOUS"], &v2: ["AWSCURRENT", "AWSPENDING"]}));
    assert_eq!(w.get("db").unwrap(), "two");
    refused(w.call("UpdateSecretVersionStage", finish), InvalidParameter, &v2);

    w.call(
        "UpdateSecretVersionStage",
        json!({"SecretId": "db", "VersionStage": "AWSPENDING", "RemoveFromVersionId": v2}),
    )
    .unwrap();
    assert_eq!(w.labels("db"), json!({&v1: ["AWSPREVIOUS"], &v2: ["AWSCURRENT"]}));

    let v3 = w.put("db", "three", Some(&["AWSPENDING"]));
    w.call(
        "UpdateSecretVersionStage",
        json!({"SecretId": "db", "VersionStage": "AWSCURRENT", "MoveToVersionId": v3, "RemoveFromVersionId": v2}),
    )
    .unwrap();
    assert_eq!(w.labels("db"), json!({&v2: ["AWSPREVIOUS"], &v3: ["AWSCURRENT", "AWSPENDING"]}));
    let shown = w.call("GetSecretValue", json!({"SecretId": "db", "VersionId": v1})).unwrap();
    assert_eq!(shown["SecretString"], "one", "a deprecated version is still readable by id");
    assert!(shown.get("VersionStages").is_none());
}

#[test]
fn moving_a_label_is_a_compare_and_swap() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", Some(&["AWSPENDING"]));
    let v3 = w.put("db", "three", Some(&["blue"]));
    let before = w.labels("db");
    let mut stage = |parameters: serde_json::Value| {
        let mut all = json!({"SecretId": "db", "VersionStage": "AWSCURRENT"});
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        w.call("UpdateSecretVersionStage", all)
    };
    refused(
        stage(json!({"MoveToVersionId": v2})),
        InvalidParameter,
        &format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to \
             version {v1}, so you must explicitly reference that version in RemoveFromVersionId."
        ),
    );
    refused(stage(json!({"MoveToVersionId": v2, "RemoveFromVersionId": v3})), InvalidParameter, &v1);
    refused(
        stage(json!({"RemoveFromVersionId": v1})),
        InvalidParameter,
        "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
    );
    refused(
        stage(json!({"MoveToVersionId": token(99), "RemoveFromVersionId": v1})),
        ResourceNotFound,
        &format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(99)),
    );
    refused(stage(json!({})), InvalidParameter, "MoveToVersionId");
    refused(
        stage(json!({"VersionStage": "green", "MoveToVersionId": v2, "RemoveFromVersionId": v1})),
        InvalidParameter,
        "no version",
    );
    refused(stage(json!({"VersionStage": "blue", "RemoveFromVersionId": v1})), InvalidParameter, &v3);
    stage(json!({"MoveToVersionId": v1})).expect("moving a label to where it is changes nothing");
    stage(json!({"VersionStage": "green", "MoveToVersionId": v1}))
        .expect("a free label needs no RemoveFromVersionId");
    stage(json!({"VersionStage": "green", "RemoveFromVersionId": v1})).unwrap();
    assert_eq!(w.labels("db"), before);
}

#[test]
fn reading_by_version_and_stage() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", None);
    let mut read = |parameters: serde_json::Value| {
        let mut all = json!({"SecretId": "db"});
        all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        w.call("GetSecretValue", all).map(|answer| answer["SecretString"].clone())
    };
    assert_eq!(read(json!({})).unwrap(), "two");
    assert_eq!(read(json!({"VersionId": v1})).unwrap(), "one");
    assert_eq!(read(json!({"VersionStage": "AWSPREVIOUS"})).unwrap(), "one");
    assert_eq!(read(json!({"VersionId": v2, "VersionStage": "AWSCURRENT"})).unwrap(), "two");
    refused(
        read(json!({"VersionStage": "nope"})),
        ResourceNotFound,
        "Secrets Manager can't find the specified secret value for staging label: nope",
    );
    refused(
        read(json!({"VersionId": token(77)})),
        ResourceNotFound,
        &format!("Secrets Manager can't find the specified secret value for VersionId: {}", token(77)),
    );
    refused(
        read(json!({"VersionId": v1, "VersionStage": "AWSCURRENT"})),
        InvalidRequest,
        "You provided a VersionStage that is not associated to the provided VersionId.",
    );
}

#[test]
fn a_secret_without_a_value() {
    let mut w = World::new();
    let made = w.sdk("CreateSecret", json!({"Name": "later"})).unwrap();
    assert!(made.get("VersionId").is_none());
    assert!(
        w.call("DescribeSecret", json!({"SecretId": "later"})).unwrap().get("VersionIdsToStages").is_none()
    );
    let missing = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT";
    refused(w.call("GetSecretValue", json!({"SecretId": "later"})), ResourceNotFound, missing);
    let v1 = w.put("later", "one", Some(&["AWSPENDING"]));
    assert_eq!(
        w.labels("later"),
        json!({&v1: ["AWSCURRENT", "AWSPENDING"]}),
        "the first version becomes current"
    );
}

#[test]
fn update_changes_what_is_given_and_nothing_else() {
    let mut w = World::new();
    let made = json!({"Name": "db", "SecretString": "one", "Description": "old", "KmsKeyId": "alias/one"});
    w.sdk("CreateSecret", made).unwrap();
    w.seconds_pass(5);
    let only_text = w.sdk("UpdateSecret", json!({"SecretId": "db", "Description": "new"})).unwrap();
    assert!(only_text.get("VersionId").is_none(), "no new version without a value");
    let shown = w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!((&shown["Description"], &shown["KmsKeyId"]), (&json!("new"), &json!("alias/one")));
    assert_eq!(shown["LastChangedDate"], json!(1_700_000_005.0));
    assert_eq!(shown["CreatedDate"], json!(1_700_000_000.0));
    let changed = w.sdk("UpdateSecret", json!({"SecretId": "db", "SecretBinary": "AAH/"})).unwrap();
    assert!(changed.get("VersionId").is_some());
    let read = w.call("GetSecretValue", json!({"SecretId": "db"})).unwrap();
    assert_eq!(read["SecretBinary"], "AAH/");
    assert!(read.get("SecretString").is_none());
}

#[test]
fn deprecated_versions_are_listed_only_on_request_and_go_after_a_hundred() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "0");
    for i in 1..=120 {
        w.seconds_pass(1);
        w.put("db", &i.to_string(), None);
    }
    let list = |w: &mut World, parameters: serde_json::Value| {
        w.call("ListSecretVersionIds", parameters).unwrap()["Versions"].as_array().unwrap().clone()
    };
    assert_eq!(list(&mut w, json!({"SecretId": "db"})).len(), 2);
    let page = w.call("ListSecretVersionIds", json!({"SecretId": "db", "IncludeDeprecated": true})).unwrap();
    assert_eq!(page["Versions"].as_array().unwrap().len(), 100);
    assert_eq!(page["Versions"][0]["VersionId"], json!(v1));
    assert!(page["Versions"][0].get("VersionStages").is_none());
    let rest = json!({"SecretId": "db", "IncludeDeprecated": true, "NextToken": page["NextToken"]});
    assert_eq!(list(&mut w, rest).len(), 21, "none go within 24 hours");
    w.days_pass(2);
    w.put("db", "last", None);
    let kept = list(&mut w, json!({"SecretId": "db", "IncludeDeprecated": true}));
    assert_eq!(kept.len(), 100);
    assert_ne!(kept[0]["VersionId"], json!(v1));
    assert_eq!(w.get("db").unwrap(), "last");
}

#[test]
fn a_label_lives_on_one_version_and_there_are_at_most_twenty() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", Some(&["blue", "green"]));
    let v3 = w.put("db", "three", Some(&["green"]));
    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], &v2: ["blue"], &v3: ["green"]}));
    let many: Vec<String> = (0..18).map(|i| format!("label-{i}")).collect();
    let put = json!({"SecretId": "db", "SecretString": "x", "VersionStages": many});
    refused(w.sdk("PutSecretValue", put), LimitExceeded, "20 staging labels");
    assert_eq!(
        w.labels("db"),
        json!({&v1: ["AWSCURRENT"], &v2: ["blue"], &v3: ["green"]}),
        "nothing is changed"
    );
}

#[test]
fn access_is_noted_by_the_day() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let shown = w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap();
    assert!(shown.get("LastAccessedDate").is_none());
    w.get("db").unwrap();
    let shown = w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!(shown["LastAccessedDate"], json!(1_699_920_000.0));
    let versions = w.call("ListSecretVersionIds", json!({"SecretId": "db"})).unwrap();
    assert_eq!(versions["Versions"][0]["VersionId"], json!(v1));
    assert_eq!(versions["Versions"][0]["LastAccessedDate"], json!(1_699_920_000.0));
}

#[test]
fn a_reserved_version_is_described_but_not_listed_or_read_until_it_has_a_value() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let mut secret = w.store.secrets(&w.scope, w.now).next().unwrap().clone();
    let mut reserved = secret.versions[0].clone();
    reserved.id = token(50);
    reserved.value = None;
    reserved.labels = BTreeSet::from(["AWSPENDING".to_owned()]);
    secret.versions.push(reserved);
    w.store.apply(Change::Put(w.scope.clone(), Arc::new(secret)), w.now);

    assert_eq!(w.labels("db"), json!({&v1: ["AWSCURRENT"], token(50): ["AWSPENDING"]}));
    let listed =
        w.call("ListSecretVersionIds", json!({"SecretId": "db", "IncludeDeprecated": true})).unwrap();
    assert_eq!(listed["Versions"].as_array().unwrap().len(), 1);
    let pending = json!({"SecretId": "db", "VersionId": token(50), "VersionStage": "AWSPENDING"});
    refused(w.call("GetSecretValue", pending.clone()), ResourceNotFound, "for VersionId: 0000");
    let by_stage = json!({"SecretId": "db", "VersionStage": "AWSPENDING"});
    refused(w.call("GetSecretValue", by_stage), ResourceNotFound, "for staging label: AWSPENDING");
    let flip = json!({
        "SecretId": "db", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(50), "RemoveFromVersionId": v1,
    });
    refused(w.call("UpdateSecretVersionStage", flip.clone()), InvalidRequest, "no secret value");

    let put = json!({
        "SecretId": "db", "SecretString": "two", "ClientRequestToken": token(50), "VersionStages": ["AWSPENDING"],
    });
    w.call("PutSecretValue", put.clone()).unwrap();
    w.call("PutSecretValue", put).expect("the same request again is ignored");
    assert_eq!(w.call("GetSecretValue", pending).unwrap()["SecretString"], "two");
    w.call("UpdateSecretVersionStage", flip).unwrap();
    assert_eq!(w.get("db").unwrap(), "two");
}

#[test]
fn l1_a_new_value_takes_awspending_from_the_version_that_was_current() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let v2 = w.put("db", "two", Some(&["AWSPENDING"]));
    let moved = json!({
        "SecretId": "db", "VersionStage": "AWSCURRENT", "MoveToVersionId": v2, "RemoveFromVersionId": v1,
    });
    w.call("UpdateSecretVersionStage", moved).unwrap();
    assert_eq!(w.labels("db")[&v2], json!(["AWSCURRENT", "AWSPENDING"]));
    let v3 = w.put("db", "three", None);
    assert_eq!(w.labels("db"), json!({v2: ["AWSPREVIOUS"], v3: ["AWSCURRENT"]}));
    let rotate = json!({
        "SecretId": "db", "RotationLambdaARN": "SecretsManagerRDSMySQLRotationSingleUser",
        "RotationRules": {"AutomaticallyAfterDays": 1},
    });
    w.sdk("RotateSecret", rotate).unwrap();
}

#[test]
fn l5_a_version_with_a_label_of_its_own_keeps_its_key() {
    let mut w = World::new();
    let (_, v1) = w.create("db", "one");
    let keep = json!({"SecretId": "db", "VersionStage": "kept", "MoveToVersionId": v1});
    w.call("UpdateSecretVersionStage", keep).unwrap();
    let v2 = w.put("db", "two", None);
    let v3 = w.put("db", "three", None);
    w.sdk("UpdateSecret", json!({"SecretId": "db", "KmsKeyId": "alias/new"})).unwrap();
    let listed = w.call("ListSecretVersionIds", json!({"SecretId": "db"})).unwrap();
    let keys: std::collections::BTreeMap<_, _> = listed["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| (text(&version["VersionId"]), text(&version["KmsKeyIds"][0])))
        .collect();
    assert_eq!(
        (keys[&v1].as_str(), keys[&v2].as_str(), keys[&v3].as_str()),
        ("DefaultEncryptionKey", "alias/new", "alias/new")
    );
    w.sdk("UpdateSecret", json!({"SecretId": "db", "KmsKeyId": "alias/newer"})).unwrap();
    let listed = w.call("ListSecretVersionIds", json!({"SecretId": "db"})).unwrap();
    assert!(
        listed.to_string().contains("DefaultEncryptionKey") && !listed.to_string().contains("alias/new\"")
    );
}
