//! The path of a request: one other than the known path, or through a service that makes the request on its caller's
//! behalf.

use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, READ, ROTATION, allow, found, good, of, outcome, policy, snapshot, with};

fn deny(condition: Value) -> Value {
    json!({"Effect": "Deny", "Principal": "*", "Action": READ, "Resource": "*", "Condition": condition})
}

fn closed_by(condition: Value) -> impl Fn(&mut Value) {
    move |json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([deny(condition.clone())]))
}

#[test]
fn a_service_may_read_in_its_caller_s_name() {
    for condition in [
        json!({"Bool": {"aws:ViaAWSService": "false"}}),
        json!({"StringNotEquals": {"aws:SourceVpce": "vpce-2"}, "Bool": {"aws:ViaAWSService": "false"}}),
        json!({"Null": {"aws:CalledVia": "true"}}),
    ] {
        assert_eq!(outcome(closed_by(condition.clone()), 0), Outcome::Conditional, "{condition}");
    }
    let only_by_services = |json: &mut Value| {
        json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0]["Condition"] =
            json!({"Bool": {"aws:ViaAWSService": "true"}});
    };
    assert_eq!(outcome(only_by_services, 0), Outcome::Conditional);
}

#[test]
fn who_may_change_policies_through_a_service_becomes_a_reader() {
    let report = with(|json| {
        let statement = json!({"Effect": "Allow", "Action": "iam:PutRolePolicy", "Resource": "*",
            "Condition": {"Bool": {"aws:ViaAWSService": "true"}}});
        json["Secrets"][0]["ResourcePolicy"] = Value::Null;
        json["Keys"][0]["Policy"]["Statement"][1]["Principal"] = json!({"AWS": "*"});
        json["Principals"]
            .as_array_mut()
            .unwrap()
            .push(json!({"Arn": "arn:aws:iam::111122223333:role/deploy",
            "InlinePolicies": [{"Name": "own", "Document": policy(json!([statement]))}]}));
    });
    assert!(of(&report, "access.becomes-reader").resource.ends_with("role/deploy"));
}

#[test]
fn a_role_may_be_used_on_another_path_than_the_known_one() {
    let mut json = good();
    closed_by(json!({"StringNotEquals": {"aws:SourceVpce": "vpce-2"}}))(&mut json);
    let snapshot = snapshot(json);
    let account = Account::new(&snapshot);
    // An ECS service and a function, both behind vpce-1.
    for principal in &snapshot.principals[..2] {
        let access = account.read(&snapshot.secrets[0], principal);
        assert_eq!(access.outcome(), Outcome::Conditional, "{principal:?}");
        assert!(access.avoids.is_some(), "{principal:?}");
    }
}

/// Known functions and services keep their path: they are refused, which is a finding.
#[test]
fn what_is_known_to_run_takes_its_own_path() {
    let report = with(|json| {
        json["VpcEndpoints"][0]["Policy"] = policy(json!([allow(READ, json!({"AWS": ROTATION}), json!({}))]));
    });
    assert!(of(&report, "network.endpoint-refuses").seen.contains(APP), "{report:#?}");
    assert!(of(&report, "access.rotation-lacks").seen.contains("PutSecretValue"), "{report:#?}");
    // A Deny that exempts services does not exempt the function.
    for condition in [
        json!({"StringNotEquals": {"aws:SourceVpce": "vpce-2"}}),
        json!({"StringNotEquals": {"aws:SourceVpce": "vpce-2"}, "Bool": {"aws:ViaAWSService": "false"}}),
    ] {
        let report = with(closed_by(condition.clone()));
        assert!(found(&report).contains("sharing.endpoint-only"), "{condition}: {report:#?}");
    }
}
