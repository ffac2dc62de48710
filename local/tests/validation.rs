//! The limits on requests, and the errors of requests that violate them.

mod world;

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;
use secretcache_local::ErrorCode::*;
use secretcache_local::{Call, Functions, execute};
use serde_json::{Value, json};
use world::{World, refused};

#[test]
fn sixty_four_kilobytes_and_not_a_byte_more() {
    let mut w = World::new();
    let most = "x".repeat(65_536);
    w.create("text", &most);
    assert_eq!(w.get("text").unwrap(), most);
    let too_long = "x".repeat(65_537);
    let message = "Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536";
    refused(w.sdk("CreateSecret", json!({"Name": "a", "SecretString": too_long})), Validation, message);
    refused(
        w.sdk("PutSecretValue", json!({"SecretId": "text", "SecretString": too_long})),
        Validation,
        message,
    );
    refused(
        w.sdk("UpdateSecret", json!({"SecretId": "text", "SecretString": too_long})),
        Validation,
        message,
    );
    let wide = "é".repeat(32_769);
    refused(w.sdk("CreateSecret", json!({"Name": "a", "SecretString": wide})), Validation, message);

    let base64 = |bytes: usize| "AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3];
    w.sdk("CreateSecret", json!({"Name": "binary", "SecretBinary": base64(65_536)})).unwrap();
    refused(
        w.sdk("CreateSecret", json!({"Name": "a", "SecretBinary": base64(65_537)})),
        Validation,
        "Value at 'secretBinary'",
    );
}

#[test]
fn one_value_and_one_only() {
    let mut w = World::new();
    w.create("db", "one");
    let both = "You can't specify both a binary secret value and a string secret value in the same secret.";
    refused(
        w.sdk("CreateSecret", json!({"Name": "a", "SecretString": "x", "SecretBinary": "eA=="})),
        InvalidParameter,
        both,
    );
    refused(
        w.sdk("PutSecretValue", json!({"SecretId": "db", "SecretString": "x", "SecretBinary": "eA=="})),
        InvalidParameter,
        both,
    );
    refused(
        w.sdk("PutSecretValue", json!({"SecretId": "db"})),
        InvalidRequest,
        "You must provide either SecretString or SecretBinary.",
    );
    refused(
        w.sdk("PutSecretValue", json!({"SecretId": "db", "SecretString": ""})),
        Validation,
        "'secretString'",
    );
}

#[test]
fn binary_with_nuls_comes_back_as_it_went() {
    let mut w = World::new();
    w.sdk("CreateSecret", json!({"Name": "b", "SecretBinary": "AP8AAQ=="})).unwrap();
    assert_eq!(w.call("GetSecretValue", json!({"SecretId": "b"})).unwrap()["SecretBinary"], "AP8AAQ==");
}

#[test]
fn every_broken_constraint_is_reported() {
    let mut w = World::new();
    refused(
        w.call("GetSecretValue", json!({})),
        Validation,
        "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null",
    );
    let error = w.call("GetSecretValue", json!({"SecretId": "", "VersionId": "short"})).unwrap_err();
    assert_eq!(
        error.message(),
        "2 validation errors detected: Value '' at 'secretId' failed to satisfy constraint: Member must have length \
         greater than or equal to 1; Value 'short' at 'versionId' failed to satisfy constraint: Member must have \
         length greater than or equal to 32"
    );
    refused(w.call("GetSecretValue", json!({"SecretId": "x".repeat(2049)})), Validation, "equal to 2048");
    refused(w.sdk("CreateSecret", json!({"Name": "x".repeat(513)})), Validation, "equal to 512");
    refused(w.sdk("CreateSecret", json!({})), Validation, "Value null at 'name'");
    refused(w.call("ListSecrets", json!({"MaxResults": 0})), Validation, "Value '0' at 'maxResults'");
    refused(w.call("ListSecrets", json!({"MaxResults": 101})), Validation, "less than or equal to 100");
    refused(w.call("ListSecrets", json!({"SortOrder": "up"})), Validation, "enum value set: [asc, desc]");
    refused(w.call("ListSecrets", json!({"NextToken": "nope"})), InvalidNextToken, "NextToken");
}

#[test]
fn errors_never_quote_the_request() {
    let mut w = World::new();
    let mut random: StdRng = SeedableRng::seed_from_u64(1);
    let canary = "canary-canary";
    for body in [
        format!(r#"{{"SecretId":"db","SecretString":{{"password":"{canary}"}}}}"#),
        format!(r#"{{"SecretId":"db","SecretString":["{canary}"]}}"#),
        format!(r#"{{"SecretId":"db","SecretBinary":"{canary}"}}"#),
        format!(r#"{{"SecretId":"db","SecretString":"{canary}"#),
        format!(r#"{{"SecretId":"db","SecretString":"{canary}"}} {canary}"#),
        format!(r#"{{"SecretId":"db","SecretString":"{canary}\ud800"}}"#),
        canary.to_owned(),
    ] {
        let mut call =
            Call { now: w.now, scope: w.scope.clone(), random: &mut random, functions: Functions::default() };
        let error = execute(&w.store, &mut call, "PutSecretValue", body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Serialization, "{error}");
        assert_eq!(error.message().contains("half of a surrogate pair"), body.contains("ud800"), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(!String::from_utf8_lossy(&error.body()).contains("canary"));
    }
    refused(
        w.call("PutSecretValue", json!({"SecretId": "db", "SecretString": 5})),
        Serialization,
        "SecretString",
    );
    let too_long = canary.repeat(6000);
    let error = w.sdk("CreateSecret", json!({"Name": "a", "SecretString": too_long})).unwrap_err();
    assert!(!error.to_string().contains("canary"));
}

#[test]
fn operations_that_do_not_exist_say_so() {
    let mut w = World::new();
    refused(w.call("GetSecret", json!({})), UnknownOperation, "no operation called \"GetSecret\"");
}

#[test]
fn replicas_have_the_versions_and_labels_of_their_primary() {
    let mut w = World::new();
    w.create("db", "one");
    let to = json!({"SecretId": "db", "AddReplicaRegions": [{"Region": "eu-west-1"}]});
    let answer = w.call("ReplicateSecretToRegions", to).unwrap();
    assert_eq!(answer["ReplicationStatus"][0]["Status"], "InSync");
    w.put("db", "two", Some(&["AWSPENDING"]));
    w.scope.region = "eu-west-1".to_owned();
    let pending = json!({"SecretId": "db", "VersionStage": "AWSPENDING"});
    assert_eq!(w.call("GetSecretValue", pending).unwrap()["SecretString"], "two");
    assert_eq!(w.get("db").unwrap(), "one");
}

#[test]
fn error_bodies_are_spelled_as_the_service_spells_them() {
    let mut w = World::new();
    let body = |answer: world::Answer| serde_json::from_slice::<Value>(&answer.unwrap_err().body()).unwrap();
    let modelled = body(w.call("GetSecretValue", json!({"SecretId": "nope"})));
    assert_eq!(
        modelled,
        json!({"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."})
    );
    let framework = body(w.call("GetSecretValue", json!({})));
    assert_eq!(framework["__type"], "ValidationException");
    assert!(framework.get("message").is_some() && framework.get("Message").is_none());
}

#[test]
fn tags() {
    let mut w = World::new();
    w.create("db", "one");
    let tags =
        |w: &mut World| w.call("DescribeSecret", json!({"SecretId": "db"})).unwrap().get("Tags").cloned();
    assert_eq!(tags(&mut w), None);
    let tag = |w: &mut World, tags: Value| w.call("TagResource", json!({"SecretId": "db", "Tags": tags}));
    assert_eq!(tag(&mut w, json!([{"Key": "a", "Value": "1"}, {"Key": "b"}])).unwrap(), json!({}));
    tag(&mut w, json!([{"Key": "a", "Value": "2"}])).unwrap();
    assert_eq!(tags(&mut w), Some(json!([{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])));
    w.call("UntagResource", json!({"SecretId": "db", "TagKeys": ["a", "b", "never"]})).unwrap();
    assert_eq!(tags(&mut w), Some(json!([])), "empty, not absent, once there were tags");
    refused(tag(&mut w, json!([{"Key": "aws:x", "Value": "1"}])), InvalidParameter, "aws:");
    refused(tag(&mut w, json!([{"Key": "", "Value": "1"}])), Validation, "'tags.1.member.key'");
    refused(
        tag(&mut w, json!([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}])),
        InvalidParameter,
        "twice",
    );
    let many: Vec<Value> = (0..51).map(|i| json!({"Key": format!("k{i}"), "Value": ""})).collect();
    refused(tag(&mut w, json!(many)), InvalidParameter, "50 tags");
    tag(&mut w, json!(many[..50])).unwrap();
    refused(tag(&mut w, json!(many[50..])), InvalidParameter, "50 tags");
    refused(tag(&mut w, json!([{"Value": "1"}])), InvalidParameter, "must have a key");
    refused(w.sdk("CreateSecret", json!({"Name": "a", "Tags": many})), LimitExceeded, "50 tags");
    refused(w.call("TagResource", json!({"SecretId": "db"})), Validation, "Value null at 'tags'");
}

#[test]
fn random_passwords() {
    let mut w = World::new();
    let mut password = |parameters: Value| {
        w.call("GetRandomPassword", parameters)
            .map(|answer| answer["RandomPassword"].as_str().unwrap().to_owned())
    };
    let plain = password(json!({})).unwrap();
    assert_eq!(plain.len(), 32);
    for _ in 0..200 {
        let four = password(json!({"PasswordLength": 4})).unwrap();
        let kinds: [fn(&char) -> bool; 4] = [
            char::is_ascii_lowercase,
            char::is_ascii_uppercase,
            char::is_ascii_digit,
            char::is_ascii_punctuation,
        ];
        assert!(kinds.iter().all(|kind| four.chars().any(|c| kind(&c))), "{four}");
    }
    let digits = password(json!({
        "ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "PasswordLength": 4096,
        "ExcludeCharacters": "01234",
    }))
    .unwrap();
    assert_eq!(digits.chars().collect::<BTreeSet<_>>(), BTreeSet::from(['5', '6', '7', '8', '9']));
    let space = password(json!({"PasswordLength": 4096, "IncludeSpace": true})).unwrap();
    assert!(space.contains(' ') && !plain.contains(' '));
    assert_eq!(space.chars().collect::<BTreeSet<_>>().len(), 95, "every printable ASCII character");
    password(json!({"PasswordLength": 1, "RequireEachIncludedType": false})).unwrap();
    for short in [1, 3] {
        refused(
            password(json!({"PasswordLength": short})).map(Value::from),
            InvalidParameter,
            "Password length is too short based on the required types.",
        );
    }
    for wrong in [0, 4097] {
        refused(password(json!({"PasswordLength": wrong})).map(Value::from), Validation, "'passwordLength'");
    }
    refused(
        password(json!({
            "ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "ExcludeNumbers": true,
        }))
        .map(Value::from),
        InvalidParameter,
        "every character is excluded",
    );
}

#[test]
fn nothing_public_shows_a_value() {
    let mut w = World::new();
    let mut random: StdRng = SeedableRng::seed_from_u64(1);
    w.create("text", "canary");
    w.sdk("CreateSecret", json!({"Name": "binary", "SecretBinary": "Y2FuYXJ5"})).unwrap();
    let mut call =
        Call { now: w.now, scope: w.scope.clone(), random: &mut random, functions: Functions::default() };
    let mut shown = format!("{:?}", w.store);
    for name in ["text", "binary"] {
        let body = format!(r#"{{"SecretId":"{name}"}}"#);
        let outcome = execute(&w.store, &mut call, "GetSecretValue", body.as_bytes()).unwrap();
        shown += &format!("{outcome:?} {:?}", outcome.changes);
    }
    for (_, secret) in w.store.all() {
        shown +=
            &format!("{secret:?} {} {:?}", serde_json::to_string(secret).unwrap(), secret.versions[0].value);
    }
    // As text, as base64, and as the numbers in a list of bytes.
    for form in ["canary", "Y2FuYXJ5", "99, 97, 110"] {
        assert!(!shown.contains(form), "{form} in {shown}");
    }
}
