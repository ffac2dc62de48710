//! Checks that the store satisfies the service's invariants after any sequence of requests.

mod world;

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, token};

/// A request. There are only a few names, labels and tokens, so that requests often collide.
#[derive(Clone, Debug)]
enum Request {
    Create { name: usize, token: u64, value: Option<u8> },
    Put { name: usize, token: u64, value: u8, labels: Vec<usize> },
    Update { name: usize, token: u64, value: u8 },
    Stage { name: usize, label: usize, from: Option<u64>, to: Option<u64> },
    Delete { name: usize, force: bool },
    Restore { name: usize },
    Rotate { name: usize, token: u64 },
    CancelRotate { name: usize },
    Days(i64),
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// The number of names in most tests: so few that most requests affect the same secret.
const FEW: usize = 2;
const LABELS: [&str; 4] = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "blue"];

fn request(names: usize) -> impl Strategy<Value = Request> {
    let (name, label, token, value) = (0..names, 0..LABELS.len(), 1..7_u64, 0..3_u8);
    prop_oneof![
        2 => (name.clone(), token.clone(), proptest::option::of(value.clone()))
            .prop_map(|(name, token, value)| Request::Create { name, token, value }),
        6 => (name.clone(), token.clone(), value.clone(), vec(label.clone(), 0..3))
            .prop_map(|(name, token, value, labels)| Request::Put { name, token, value, labels }),
        2 => (name.clone(), token.clone(), value)
            .prop_map(|(name, token, value)| Request::Update { name, token, value }),
        3 => (name.clone(), token.clone()).prop_map(|(name, token)| Request::Rotate { name, token }),
        1 => name.clone().prop_map(|name| Request::CancelRotate { name }),
        8 => (name.clone(), label, proptest::option::of(token.clone()), proptest::option::of(token))
            .prop_map(|(name, label, from, to)| Request::Stage { name, label, from, to }),
        1 => (name.clone(), any::<bool>()).prop_map(|(name, force)| Request::Delete { name, force }),
        1 => name.prop_map(|name| Request::Restore { name }),
        1 => (1..20_i64).prop_map(Request::Days),
    ]
}

fn run(w: &mut World, request: &Request) -> Option<world::Answer> {
    let (operation, parameters) = match request {
        Request::Create { name, token: t, value } => {
            let mut made = json!({"Name": NAMES[*name], "ClientRequestToken": token(*t)});
            if let Some(value) = value {
                made["SecretString"] = json!(format!("v{value}"));
            }
            ("CreateSecret", made)
        }
        Request::Put { name, token: t, value, labels } => {
            let text = format!("v{value}");
            let mut put =
                json!({"SecretId": NAMES[*name], "ClientRequestToken": token(*t), "SecretString": text});
            if !labels.is_empty() {
                put["VersionStages"] = labels.iter().map(|label| LABELS[*label]).collect();
            }
            ("PutSecretValue", put)
        }
        Request::Update { name, token: t, value } => {
            let text = format!("v{value}");
            (
                "UpdateSecret",
                json!({"SecretId": NAMES[*name], "ClientRequestToken": token(*t), "SecretString": text}),
            )
        }
        Request::Stage { name, label, from, to } => {
            let mut stage = json!({"SecretId": NAMES[*name], "VersionStage": LABELS[*label]});
            for (member, version) in [("RemoveFromVersionId", from), ("MoveToVersionId", to)] {
                if let Some(version) = version {
                    stage[member] = json!(token(*version));
                }
            }
            ("UpdateSecretVersionStage", stage)
        }
        Request::Delete { name, force } => {
            ("DeleteSecret", json!({"SecretId": NAMES[*name], "ForceDeleteWithoutRecovery": force}))
        }
        Request::Restore { name } => ("RestoreSecret", json!({"SecretId": NAMES[*name]})),
        Request::Rotate { name, token: t } => {
            let function =
                "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSMySQLRotationSingleUser";
            let name = NAMES[*name];
            (
                "RotateSecret",
                json!({"SecretId": name, "ClientRequestToken": token(*t), "RotationLambdaARN": function}),
            )
        }
        Request::CancelRotate { name } => ("CancelRotateSecret", json!({"SecretId": NAMES[*name]})),
        Request::Days(days) => {
            w.days_pass(*days);
            return None;
        }
    };
    Some(w.call(operation, parameters))
}

/// Checks the invariants of every secret.
fn check(w: &World, values: &mut HashMap<(String, String), String>) {
    for secret in w.store.secrets(&w.scope, w.now) {
        let holders =
            |label: &str| secret.versions.iter().filter(|version| version.labels.contains(label)).count();
        for label in LABELS {
            assert!(holders(label) <= 1, "{label} is on at most one version");
        }
        let has_value = secret.versions.iter().any(|version| version.value.is_some());
        assert_eq!(holders("AWSCURRENT"), usize::from(has_value), "one version is current");
        let underway = secret.rotation.as_ref().and_then(|rotation| rotation.underway.as_ref());
        assert!(underway.is_none_or(|underway| secret.version(&underway.token).is_some()), "it exists");
        for version in &secret.versions {
            let Some(value) = version.value.as_ref().and_then(|value| value.as_text()) else {
                assert!(!version.labels.contains("AWSCURRENT"), "a reserved version is never current");
                continue;
            };
            let value = value.to_owned();
            let first =
                values.entry((secret.arn.clone(), version.id.clone())).or_insert_with(|| value.clone());
            assert_eq!(*first, value, "a version never changes");
        }
    }
}

fn shown(w: &World) -> Vec<Value> {
    w.store.all().map(|(_, secret)| serde_json::to_value(secret).unwrap()).collect()
}

/// Returns the ARNs on all pages of a listing, with two secrets per page.
fn listed(w: &mut World, mut question: Value) -> Vec<String> {
    question["MaxResults"] = json!(2);
    let mut all = Vec::new();
    loop {
        let page = w.call("ListSecrets", question.clone()).unwrap();
        let secrets = page["SecretList"].as_array().unwrap();
        assert!(secrets.len() <= 2);
        all.extend(secrets.iter().map(|secret| secret["ARN"].as_str().unwrap().to_owned()));
        match &page["NextToken"] {
            Value::Null => return all,
            token => question["NextToken"] = token.clone(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn invariants_hold(requests in vec(request(FEW), 1..60)) {
        let mut w = World::new();
        let mut values = HashMap::new();
        for request in &requests {
            let before = shown(&w);
            if let Some(Err(_)) = run(&mut w, request) {
                prop_assert_eq!(shown(&w), before, "a refused request changes nothing");
            }
            check(&w, &mut values);
        }
    }

    #[test]
    fn putting_again_changes_nothing(requests in vec(request(FEW), 1..40)) {
        let mut w = World::new();
        for request in &requests {
            let answer = run(&mut w, request);
            if let (Request::Put { .. }, Some(Ok(first))) = (request, answer) {
                let before = shown(&w);
                let again = run(&mut w, request).unwrap().unwrap();
                prop_assert_eq!(&again["VersionId"], &first["VersionId"]);
                prop_assert_eq!(shown(&w), before);
            }
        }
    }

    #[test]
    fn the_past_can_be_seen(requests in vec(request(FEW), 1..30)) {
        let mut w = World::new();
        let mut past = Vec::new();
        for request in &requests {
            past.push((w.now, shown(&w)));
            w.seconds_pass(1);
            run(&mut w, request);
            w.seconds_pass(1);
        }
        for (then, expected) in past {
            let store = w.store.as_of(then);
            let seen: Vec<_> = store.all().map(|(_, secret)| serde_json::to_value(secret).unwrap()).collect();
            prop_assert_eq!(seen, expected);
        }
    }

    /// Compares the index by creation, and the sorting of single pages, with sorting everything.
    #[test]
    fn pages_together_are_the_list_in_its_order(requests in vec(request(NAMES.len()), 1..40)) {
        let mut w = World::new();
        for request in &requests {
            run(&mut w, request);
        }
        for deleted in [false, true] {
            let secrets: Vec<_> = w.store.secrets(&w.scope, w.now).filter(|it| deleted || !it.is_deleted()).cloned().collect();
            for by in ["created-date", "last-changed-date", "last-accessed-date", "name"] {
                let mut expected: Vec<_> = secrets.iter().map(|secret| {
                    let (date, name) = match by {
                        "name" => (None, secret.name.as_str()),
                        "created-date" => (Some(secret.created), ""),
                        "last-changed-date" => (Some(secret.changed), ""),
                        _ => (secret.accessed, ""),
                    };
                    (date, name, secret.arn.clone())
                }).collect();
                expected.sort();
                for order in ["asc", "desc"] {
                    let question = json!({"SortBy": by, "SortOrder": order, "IncludePlannedDeletion": deleted});
                    let arns: Vec<_> = expected.iter().map(|(_, _, arn)| arn.clone()).collect();
                    prop_assert_eq!(listed(&mut w, question), arns, "{} {}", by, order);
                    expected.reverse();
                }
            }
        }
    }
}
