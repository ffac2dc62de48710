//! ListSecrets and BatchGetSecretValue: filters, order, pages.

mod world;

use secretcache_local::ErrorCode::*;
use serde_json::{Value, json};
use world::{World, refused, text};

fn names(answer: &Value) -> Vec<String> {
    answer["SecretList"].as_array().unwrap().iter().map(|secret| text(&secret["Name"])).collect()
}

fn stocked() -> World {
    let mut w = World::new();
    for (name, description, tags) in [
        ("prod/checkout/db", "CheckoutDatabase of all", json!([{"Key": "team", "Value": "payments"}])),
        ("prod/search/key", "search Api key", json!([{"Key": "Team", "Value": "discovery"}])),
        ("test/checkout/db", "for tests", json!([])),
    ] {
        let made = json!({"Name": name, "Description": description, "Tags": tags, "SecretString": name});
        w.sdk("CreateSecret", made).unwrap();
        w.seconds_pass(1);
    }
    w
}

#[test]
fn filters() {
    let mut w = stocked();
    let mut found = |filters: Value| names(&w.call("ListSecrets", json!({"Filters": filters})).unwrap());
    let (checkout, search, test) = ("prod/checkout/db", "prod/search/key", "test/checkout/db");
    assert_eq!(found(json!([{"Key": "name", "Values": ["prod/"]}])), [checkout, search]);
    assert_eq!(found(json!([{"Key": "name", "Values": ["Prod/"]}])), [""; 0], "case matters for names");
    assert_eq!(found(json!([{"Key": "name", "Values": ["!prod/"]}])), [test]);
    assert_eq!(found(json!([{"Key": "name", "Values": ["test", "prod/s"]}])), [search, test]);
    assert_eq!(found(json!([{"Key": "description", "Values": ["DATABASE"]}])), [checkout]);
    assert_eq!(found(json!([{"Key": "tag-key", "Values": ["team"]}])), [checkout]);
    assert_eq!(found(json!([{"Key": "tag-value", "Values": ["dis"]}])), [search]);
    assert_eq!(found(json!([{"Key": "all", "Values": ["checkout"]}])), [checkout, test]);
    assert_eq!(found(json!([{"Key": "all", "Values": ["Payments"]}])), [checkout]);
    assert_eq!(found(json!([{"Key": "owning-service", "Values": ["rds"]}])), [""; 0]);
    let both = json!([{"Key": "name", "Values": ["prod/"]}, {"Key": "description", "Values": ["api"]}]);
    assert_eq!(found(both), [search], "filters are joined by and");
    refused(
        w.call("ListSecrets", json!({"Filters": [{"Key": "nope", "Values": ["x"]}]})),
        Validation,
        "Value 'nope' at 'filters.1.member.key' failed to satisfy constraint: Member must satisfy enum value set:",
    );
    refused(
        w.call("ListSecrets", json!({"Filters": [{"Values": ["x"]}]})),
        InvalidParameter,
        "Invalid filter key",
    );
    refused(
        w.call("ListSecrets", json!({"Filters": [{"Key": "name"}]})),
        InvalidParameter,
        "Invalid filter values for key: name",
    );
    refused(
        w.call("ListSecrets", json!({"Filters": [{"Key": "name", "Values": ["a*"]}]})),
        Validation,
        "pattern",
    );
}

#[test]
fn order_and_pages() {
    let mut w = World::new();
    for i in 0..250 {
        w.create(&format!("s{:03}", (i * 7) % 250), "x");
        w.seconds_pass(1);
    }
    let mut all = Vec::new();
    let mut token = None;
    loop {
        let mut parameters = json!({"MaxResults": 99, "SortBy": "name", "SortOrder": "desc"});
        if let Some(token) = token.take() {
            parameters["NextToken"] = token;
        }
        let page = w.call("ListSecrets", parameters).unwrap();
        all.extend(names(&page));
        match page.get("NextToken") {
            Some(next) => token = Some(next.clone()),
            None => break,
        }
    }
    let expected: Vec<String> = (0..250).rev().map(|i| format!("s{i:03}")).collect();
    assert_eq!(all, expected);
    let first = names(&w.call("ListSecrets", json!({})).unwrap());
    assert_eq!(
        (first.len(), first[0].as_str(), first[1].as_str()),
        (100, "s000", "s007"),
        "by creation date"
    );
}

#[test]
fn deleted_secrets_are_listed_only_on_request() {
    let mut w = stocked();
    w.call("DeleteSecret", json!({"SecretId": "test/checkout/db"})).unwrap();
    assert_eq!(names(&w.call("ListSecrets", json!({})).unwrap()).len(), 2);
    let all = w.call("ListSecrets", json!({"IncludePlannedDeletion": true})).unwrap();
    assert_eq!(names(&all).len(), 3);
    assert!(all["SecretList"][2].get("DeletedDate").is_some());
    assert!(all["SecretList"][0].get("SecretVersionsToStages").is_some());
}

#[test]
fn a_batch_by_id_answers_what_it_can() {
    let mut w = stocked();
    w.sdk("CreateSecret", json!({"Name": "empty"})).unwrap();
    w.call("DeleteSecret", json!({"SecretId": "test/checkout/db"})).unwrap();
    let ids = json!(["prod/checkout/db", "nope", "empty", "test/checkout/db", "prod/checkout/db"]);
    let batch = w.call("BatchGetSecretValue", json!({"SecretIdList": ids})).unwrap();
    let values: Vec<_> =
        batch["SecretValues"].as_array().unwrap().iter().map(|v| text(&v["SecretString"])).collect();
    assert_eq!(values, ["prod/checkout/db"; 2]);
    let errors: Vec<_> = batch["Errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (text(&e["SecretId"]), text(&e["ErrorCode"])))
        .collect();
    let expected = [
        ("nope", "ResourceNotFoundException"),
        ("empty", "ResourceNotFoundException"),
        ("test/checkout/db", "InvalidRequestException"),
    ];
    assert_eq!(errors, expected.map(|(id, code)| (id.to_owned(), code.to_owned())));
    let seen = w.call("DescribeSecret", json!({"SecretId": "prod/checkout/db"})).unwrap();
    assert!(seen.get("LastAccessedDate").is_some());
}

#[test]
fn a_batch_by_filter_comes_in_pages() {
    let mut w = World::new();
    for i in 0..45 {
        w.create(&format!("s{i:02}"), "x");
    }
    let mut seen = 0;
    let mut parameters = json!({"Filters": [{"Key": "name", "Values": ["s"]}]});
    let mut pages = 0;
    loop {
        let page = w.call("BatchGetSecretValue", parameters.clone()).unwrap();
        seen += page["SecretValues"].as_array().unwrap().len();
        pages += 1;
        match page.get("NextToken") {
            Some(next) => parameters["NextToken"] = next.clone(),
            None => break,
        }
    }
    assert_eq!((seen, pages), (45, 3));
}

#[test]
fn a_batch_wants_ids_or_filters() {
    let mut w = World::new();
    let either = "Either 'SecretIdList' or 'Filters' must be provided, but not both.";
    refused(w.call("BatchGetSecretValue", json!({})), InvalidParameter, either);
    let both = json!({"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]});
    refused(w.call("BatchGetSecretValue", both), InvalidParameter, either);
    refused(w.call("BatchGetSecretValue", json!({"SecretIdList": vec!["a"; 21]})), Validation, "equal to 20");
    refused(w.call("BatchGetSecretValue", json!({"SecretIdList": []})), Validation, "equal to 1");
}
