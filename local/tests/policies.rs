//! Resource policies.

mod world;

use secretcache_local::ErrorCode::*;
use serde_json::json;
use world::{World, refused};

#[test]
fn a_policy_is_kept_as_written() {
    let mut w = World::new();
    let (arn, _) = w.create("db", "one");
    let about = json!({"ARN": arn, "Name": "db", "PolicyName": "default"});
    assert_eq!(w.call("GetResourcePolicy", json!({"SecretId": "db"})).unwrap(), about, "no policy yet");
    let policy =
        r#"{ "Statement": {"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}"#;
    let put = json!({"SecretId": "db", "ResourcePolicy": policy, "BlockPublicPolicy": true});
    assert_eq!(w.call("PutResourcePolicy", put).unwrap(), about);
    let got = w.call("GetResourcePolicy", json!({"SecretId": "db", "PolicyName": "default"})).unwrap();
    assert_eq!(got["ResourcePolicy"], policy);
    let listed = w.call("ListResourcePolicies", json!({"SecretId": "db"})).unwrap();
    assert_eq!(listed, json!({"ResourcePolicies": [{"PolicyName": "default"}]}));
    w.call("DeleteResourcePolicy", json!({"SecretId": "db"})).unwrap();
    assert_eq!(w.call("GetResourcePolicy", json!({"SecretId": "db"})).unwrap(), about);
    assert_eq!(
        w.call("ListResourcePolicies", json!({"SecretId": "db"})).unwrap(),
        json!({"ResourcePolicies": []})
    );
}

#[test]
fn what_is_refused() {
    let mut w = World::new();
    w.create("db", "one");
    let open = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;
    refused(
        w.call("PutResourcePolicy", json!({"SecretId": "db", "ResourcePolicy": "{"})),
        MalformedPolicyDocument,
        "not a JSON object",
    );
    refused(
        w.call(
            "PutResourcePolicy",
            json!({"SecretId": "db", "ResourcePolicy": open, "BlockPublicPolicy": true}),
        ),
        PublicPolicy,
        "broad access",
    );
    w.call("PutResourcePolicy", json!({"SecretId": "db", "ResourcePolicy": open})).unwrap();
    refused(
        w.call("PutResourcePolicy", json!({"SecretId": "db", "ResourcePolicy": open, "PolicyName": "mine"})),
        InvalidParameter,
        "default",
    );
    refused(
        w.call("GetResourcePolicy", json!({"SecretId": "db", "PolicyName": "mine"})),
        ResourceNotFound,
        "resource policy",
    );
    let checked = w.call("ValidateResourcePolicy", json!({"ResourcePolicy": open})).unwrap();
    assert_eq!(checked["PolicyValidationPassed"], false);
    let fine = open.replace(r#""*","Action""#, r#"{"AWS":"arn:aws:iam::123456789012:root"},"Action""#);
    let checked =
        w.call("ValidateResourcePolicy", json!({"SecretId": "db", "ResourcePolicy": fine})).unwrap();
    assert_eq!(checked, json!({"PolicyValidationPassed": true, "ValidationErrors": []}));
    refused(w.call("ValidateResourcePolicy", json!({})), Validation, "'resourcePolicy'");
}
