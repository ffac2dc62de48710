//! Policies that a snapshot lacks: what they may say leaves the answer open.

use secretcache_access::evaluate::{Link, Outcome};
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{SECRET, good, outcome, snapshot, with};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const FOREIGN: &str = "arn:aws:kms:eu-central-1:444455556666:key/5678";

fn refused(permission: &str, resource: &str) -> Value {
    json!([{"Permission": permission, "Resource": resource, "Error": "AccessDenied"}])
}

fn without_key_policy(json: &mut Value) {
    json["Keys"][0].as_object_mut().unwrap().remove("Policy");
}

fn foreign(json: &mut Value) {
    json["Secrets"][0]["KmsKeyId"] = json!(FOREIGN);
    json["Keys"] = json!([]);
}

fn decrypts(json: &mut Value, resource: &str) {
    json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": resource}));
}

#[test]
fn a_key_policy_that_is_not_known_may_keep_out() {
    let mut json = good();
    without_key_policy(&mut json);
    json["NotCollected"] = refused("kms:GetKeyPolicy", KEY);
    let snapshot = snapshot(json);
    let access = Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[0]);
    assert_eq!(access.outcome(), Outcome::Conditional);
    assert_eq!(access.key.unwrap().unknown, [(Link::KeyPolicy, KEY)]);
    for id in [KEY, "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-central-1:111122223333:alias/x"] {
        let gone = |json: &mut Value| {
            json["Keys"] = json!([]);
            json["Secrets"][0]["KmsKeyId"] = json!(id);
        };
        assert_eq!(outcome(gone, 0), Outcome::Conditional, "{id}");
    }
    let denied = |json: &mut Value| {
        without_key_policy(json);
        decrypts(json, "*");
        json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][1]["Effect"] = json!("Deny");
    };
    assert_eq!(outcome(denied, 0), Outcome::Denied);
}

#[test]
fn the_key_of_another_account_needs_a_policy_of_the_caller_s_own() {
    assert_eq!(outcome(foreign, 0), Outcome::Denied);
    for (resource, expected) in
        [("*", Outcome::Conditional), (FOREIGN, Outcome::Conditional), (KEY, Outcome::Denied)]
    {
        let with_policy = |json: &mut Value| {
            foreign(json);
            decrypts(json, resource);
        };
        assert_eq!(outcome(with_policy, 0), expected, "{resource}");
    }
}

#[test]
fn a_resource_policy_that_is_not_known_may_keep_out() {
    let unknown = |json: &mut Value| {
        json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
        json["NotCollected"] = refused("secretsmanager:GetResourcePolicy", SECRET);
    };
    assert_eq!(outcome(unknown, 0), Outcome::Conditional);
    let of_another = |json: &mut Value| {
        unknown(json);
        json["NotCollected"][0]["Resource"] = json!(SECRET.replace("db-", "api-"));
    };
    assert_eq!(outcome(of_another, 0), Outcome::Allowed);
}

#[test]
fn the_key_of_a_secret_that_nobody_described_is_not_known() {
    let bare = |json: &mut Value| {
        let secret = json["Secrets"][0].as_object_mut().unwrap();
        secret.retain(|name, _| ["ARN", "Name"].contains(&name.as_str()));
    };
    assert_eq!(outcome(bare, 0), Outcome::Allowed);
    let refused = |json: &mut Value| {
        bare(json);
        json["NotCollected"] = refused("secretsmanager:DescribeSecret", SECRET);
    };
    assert_eq!(outcome(refused, 0), Outcome::Conditional);
}

#[test]
fn what_a_snapshot_lacks_of_a_key_is_not_checked() {
    let not_checked = |edit: fn(&mut Value), check: &str| {
        let report = with(edit);
        let named = report.not_checked.into_iter().find(|it| it.check == check);
        named.map(|it| (it.permission, it.reason))
    };
    let reason = "the snapshot does not have the key, or not its policy";
    for (edit, check, permission) in [
        (foreign as fn(&mut Value), "key.state", "kms:DescribeKey"),
        (foreign, "key.policy-public", "kms:GetKeyPolicy"),
        (foreign, "key.grant", "kms:DescribeKey"),
        (without_key_policy, "key.policy-public", "kms:GetKeyPolicy"),
    ] {
        let expected = Some((permission.to_owned(), reason.to_owned()));
        assert_eq!(not_checked(edit, check), expected, "{check}");
    }
    assert_eq!(not_checked(without_key_policy, "key.state"), None);
}
