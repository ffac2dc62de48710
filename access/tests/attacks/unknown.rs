//! Policies that a snapshot lacks: the answer stays open.

use secretcache_access::audit::Report;
use secretcache_access::evaluate::{Link, Outcome};
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{SECRET, good, outcome, policy, snapshot, with};

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
    let reason = "the snapshot lacks the key or its policy";
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

#[test]
fn no_policy_stops_an_audit() {
    let statement = |fields: Value| {
        let mut all = json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"});
        fields.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        all
    };
    let odd = [
        json!([]),
        statement(json!({})),
        json!([statement(json!({"Action": [], "Resource": []}))]),
        json!([statement(json!({"Principal": {}}))]),
        json!([statement(json!({"Principal": {"AWS": []}}))]),
        json!([statement(json!({"Condition": {}}))]),
        json!([statement(json!({"Condition": {"StringEquals": {}}}))]),
        json!([statement(
            json!({"Condition": {"StringLike": {"aws:PrincipalArn": ["", "*", ":::::", "é*?"]}}})
        )]),
        json!([statement(
            json!({"Condition": {"StringLike": {"kms:ViaService": [], "aws:PrincipalAccount": "?*?*??????????????"}}})
        )]),
        json!([statement(json!({"Action": ":", "Resource": "arn:"}))]),
        json!([statement(json!({"Sid": null})), statement(json!({"Effect": "Deny", "Resource": "${"}))]),
    ];
    let places = [
        "/Secrets/0/ResourcePolicy",
        "/Keys/0/Policy",
        "/Principals/0/InlinePolicies/0/Document",
        "/Principals/1/InlinePolicies/0/Document",
        "/VpcEndpoints/0/Policy",
        "/Functions/0/Policy",
        "/ManagedPolicies/arn:aws:iam::aws:policy~1AdministratorAccess",
        "/ServiceControlPolicies/0/Policies/0/Document",
    ];
    for place in places {
        for statements in &odd {
            let report = with(|json| *json.pointer_mut(place).unwrap() = policy(statements.clone()));
            assert_eq!(report.secrets, 1, "{place} {statements}");
        }
    }
}

#[test]
fn a_policy_that_is_not_known_leaves_the_answer_open() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    assert_eq!(outcome(|_| (), 0), Outcome::Allowed);
    assert_eq!(
        outcome(|json| json["Principals"][0]["PermissionsBoundary"] = json!(boundary), 0),
        Outcome::Conditional
    );
    assert_eq!(
        outcome(|json| json["Principals"][0]["AttachedPolicies"] = json!([boundary]), 0),
        Outcome::Conditional
    );
    let hidden = |json: &mut Value| {
        json["ServiceControlPolicies"][1]["Policies"].as_array_mut().unwrap().push(json!({"Name": "hidden"}));
    };
    assert_eq!(outcome(hidden, 0), Outcome::Conditional);
    let only_hidden =
        |json: &mut Value| json["ServiceControlPolicies"][1]["Policies"] = json!([{"Name": "hidden"}]);
    assert_eq!(outcome(only_hidden, 0), Outcome::Conditional);
    // A known Deny decides, whatever the unknown policies say.
    assert_eq!(outcome(hidden, 2), Outcome::Denied);
}

#[test]
fn what_could_not_be_described_is_not_checked() {
    let refused = |permission: &str, resource: &str| json!({"Permission": permission, "Resource": resource, "Error": "AccessDeniedException"});
    let report = with(|json| {
        let secret = json["Secrets"][0].as_object_mut().unwrap();
        secret.retain(|name, _| ["ARN", "Name", "ResourcePolicy"].contains(&name.as_str()));
        secret["Name"] = json!("prod/checkout/db-AbCdEf");
        json["NotCollected"] = json!([refused("secretsmanager:DescribeSecret", SECRET)]);
    });
    let of_secret = |report: &Report| report.findings.iter().filter(|it| it.secret.is_some()).count();
    assert_eq!(of_secret(&report), 0, "{:#?}", report.findings);
    for check in
        ["key.default", "rotation.off", "usage.untagged", "sharing.name-suffix", "access.application-writes"]
    {
        let named = report.not_checked.iter().find(|it| it.check == check);
        assert_eq!(named.map(|it| it.permission.as_str()), Some("secretsmanager:DescribeSecret"), "{check}");
    }
    for (permission, resource, check) in [
        ("events:ListTargetsByRule", "failed", "alarm.rotation-failed"),
        ("secretsmanager:ListSecretVersionIds", SECRET, "rotation.previous-old"),
        ("secretsmanager:ListSecretVersionIds", SECRET, "rotation.old"),
    ] {
        let report = with(|json| json["NotCollected"] = json!([refused(permission, resource)]));
        let named = report.not_checked.iter().any(|it| it.check == check && it.permission == permission);
        assert!(named, "{check}: {:#?}", report.not_checked);
    }
}
