//! Deleting, restoring, and finding secrets by name and ARN.

mod world;

use secretcache_local::ErrorCode::*;
use secretcache_local::Scope;
use serde_json::json;
use world::{World, refused, text};

const MARKED: &str = "You can't perform this operation on the secret because it was marked for deletion.";
const NOT_FOUND: &str = "Secrets Manager can't find the specified secret.";

#[test]
fn a_deleted_secret_can_be_described_and_restored_but_not_used() {
    let mut w = World::new();
    let (arn, v1) = w.create("db", "one");
    let deleted = w.call("DeleteSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!(
        deleted["DeletionDate"],
        json!(1_700_000_000.0 + 30.0 * 86_400.0),
        "30 days, which is the default"
    );
    for (operation, parameters) in [
        ("GetSecretValue", json!({})),
        ("PutSecretValue", json!({"SecretString": "x"})),
        ("UpdateSecret", json!({"SecretString": "x"})),
        ("UpdateSecretVersionStage", json!({"VersionStage": "x", "MoveToVersionId": v1})),
        ("DeleteSecret", json!({})),
        ("TagResource", json!({"Tags": [{"Key": "a", "Value": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
    ] {
        for id in ["db", &arn] {
            let mut parameters = parameters.clone();
            parameters["SecretId"] = json!(id);
            refused(w.sdk(operation, parameters), InvalidRequest, MARKED);
        }
    }
    refused(
        w.sdk("CreateSecret", json!({"Name": "db"})),
        InvalidRequest,
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    );
    assert!(w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap().get("DeletedDate").is_some());
    w.call("ListSecretVersionIds", json!({"SecretId": "db"})).unwrap();
    let restored = w.call("RestoreSecret", json!({"SecretId": "db"})).unwrap();
    assert_eq!(restored, json!({"ARN": arn, "Name": "db"}));
    assert_eq!(w.get("db").unwrap(), "one");
    assert!(w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap().get("DeletedDate").is_none());
    w.call("RestoreSecret", json!({"SecretId": "db"})).expect("restoring a live secret changes nothing");
}

#[test]
fn after_its_window_a_secret_is_gone_and_its_name_free() {
    let mut w = World::new();
    let (old, _) = w.create("db", "one");
    w.call("DeleteSecret", json!({"SecretId": "db", "RecoveryWindowInDays": 7})).unwrap();
    w.days_pass(6);
    w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap();
    w.days_pass(1);
    refused(w.call("RestoreSecret", json!({"SecretId": "db"})), ResourceNotFound, NOT_FOUND);
    refused(w.call("DescribeSecret", json!({"SecretId": old})), ResourceNotFound, NOT_FOUND);
    let listed = w.call("ListSecrets", json!({"IncludePlannedDeletion": true})).unwrap();
    assert_eq!(listed["SecretList"], json!([]));
    let (new, _) = w.create("db", "two");
    assert_ne!(old, new, "a new suffix, so that old policies do not cover it");
    assert_eq!(w.get("db").unwrap(), "two");
}

#[test]
fn forced_deletion_is_at_once_and_never_complains() {
    let mut w = World::new();
    let (arn, _) = w.create("db", "one");
    w.call("DeleteSecret", json!({"SecretId": "db", "RecoveryWindowInDays": 7})).unwrap();
    let gone = w.call("DeleteSecret", json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true})).unwrap();
    assert_eq!(gone, json!({"ARN": arn, "Name": "db", "DeletionDate": 1_700_000_000.0}));
    refused(w.call("DescribeSecret", json!({"SecretId": "db"})), ResourceNotFound, NOT_FOUND);
    w.call("DeleteSecret", json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true})).unwrap();
    w.create("db", "again");
}

#[test]
fn deletion_windows() {
    let mut w = World::new();
    w.create("db", "one");
    for days in [-1, 0, 6, 31] {
        refused(
            w.call("DeleteSecret", json!({"SecretId": "db", "RecoveryWindowInDays": days})),
            InvalidParameter,
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        );
    }
    refused(
        w.call(
            "DeleteSecret",
            json!({"SecretId": "db", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": true}),
        ),
        InvalidParameter,
        "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
    );
    refused(w.call("DeleteSecret", json!({"SecretId": "nope"})), ResourceNotFound, NOT_FOUND);
    w.call(
        "DeleteSecret",
        json!({"SecretId": "db", "RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": false}),
    )
    .unwrap();
}

#[test]
fn by_name_arn_and_partial_arn() {
    let mut w = World::new();
    let (arn, _) = w.create("prod/db", "one");
    let suffix = arn.rsplit('-').next().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-"));
    assert_eq!(suffix.len(), 6);
    let partial = arn.strip_suffix(&format!("-{suffix}")).unwrap().to_owned();
    for id in ["prod/db", &arn, &partial] {
        assert_eq!(w.get(id).unwrap(), "one", "{id}");
    }
    let name_with_suffix = format!("prod/db-{suffix}");
    let wrong_suffix = format!("{partial}-zzzzzz");
    let elsewhere = [arn.replace("us-east-1", "us-east-2"), arn.replace("123456789012", "210987654321")];
    for id in ["prod", "prod/d", &name_with_suffix, &wrong_suffix, &elsewhere[0], &elsewhere[1]] {
        refused(w.call("GetSecretValue", json!({"SecretId": id})), ResourceNotFound, NOT_FOUND);
    }
}

#[test]
fn a_name_that_ends_like_a_suffix_is_not_found_by_partial_arn() {
    let mut w = World::new();
    let (arn, _) = w.create("my-abcdef", "one");
    let (other, _) = w.create("my", "two");
    let partial = &arn[..arn.len() - 7];
    assert_eq!(w.get("my-abcdef").unwrap(), "one");
    assert_eq!(w.get(&arn).unwrap(), "one");
    assert_eq!(w.get(&other).unwrap(), "two");
    refused(w.call("GetSecretValue", json!({"SecretId": partial})), ResourceNotFound, NOT_FOUND);
}

#[test]
fn what_is_no_secret_id() {
    let mut w = World::new();
    for id in ["a b", "a:b", "naïve", "arn:aws:s3:::bucket"] {
        refused(
            w.call("GetSecretValue", json!({"SecretId": id})),
            Validation,
            "Invalid name. Must be a valid name",
        );
        refused(w.sdk("CreateSecret", json!({"Name": id})), Validation, "Invalid name. Must be a valid name");
    }
    w.create("Valid/_+=.@!-Name", "x");
}

#[test]
fn accounts_and_regions_are_apart_but_reachable_by_arn() {
    let mut w = World::new();
    let made = json!({"Name": "db", "SecretString": "here", "KmsKeyId": "alias/shared"});
    let here = text(&w.sdk("CreateSecret", made).unwrap()["ARN"]);
    w.scope = Scope::new("210987654321", "cn-north-1");
    refused(w.call("GetSecretValue", json!({"SecretId": "db"})), ResourceNotFound, NOT_FOUND);
    let (there, _) = w.create("db", "there");
    assert!(there.starts_with("arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:db-"), "{there}");
    assert_eq!(w.get("db").unwrap(), "there");
    assert_eq!(w.get(&here).unwrap(), "here");
    assert_eq!(w.call("ListSecrets", json!({})).unwrap()["SecretList"].as_array().unwrap().len(), 1);
    w.put(&here, "changed from there", None);
    w.scope = Scope::new("123456789012", "us-east-1");
    assert_eq!(w.get("db").unwrap(), "changed from there");
}

#[test]
fn l3_the_default_key_is_for_its_own_account() {
    const REASON: &str = "You can't access a secret from a different AWS account if you encrypt the secret with the \
                          default KMS service key.";
    let mut w = World::new();
    let (arn, _) = w.create("db", "one");
    w.scope = Scope::new("210987654321", "us-east-1");
    refused(w.call("GetSecretValue", json!({"SecretId": arn})), InvalidRequest, REASON);
    refused(w.sdk("PutSecretValue", json!({"SecretId": arn, "SecretString": "x"})), InvalidRequest, REASON);
    refused(w.sdk("UpdateSecret", json!({"SecretId": arn, "SecretString": "x"})), InvalidRequest, REASON);
    let batch = w.call("BatchGetSecretValue", json!({"SecretIdList": [arn]})).unwrap();
    assert_eq!(batch["Errors"][0]["Message"], REASON);
    w.call("DescribeSecret", json!({"SecretId": arn})).unwrap();
    w.scope = Scope::new("123456789012", "eu-west-1");
    assert_eq!(w.get(&arn).unwrap(), "one");
}

#[test]
fn the_store_can_be_seen_as_it_was() {
    let mut w = World::new();
    w.create("db", "one");
    w.seconds_pass(10);
    w.put("db", "two", None);
    w.seconds_pass(10);
    w.call("DeleteSecret", json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true})).unwrap();
    let value = |at: i64| {
        let past = w.store.as_of(w.now.plus_millis(at * 1000));
        let secret = past.secrets(&w.scope, w.now).next()?;
        Some(secret.labelled("AWSCURRENT")?.value.as_ref()?.as_text()?.to_owned())
    };
    assert_eq!(value(0), None);
    assert_eq!(value(-5).as_deref(), Some("two"));
    assert_eq!(value(-15).as_deref(), Some("one"));
    assert_eq!(value(-25), None);
}
