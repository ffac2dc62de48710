//! Statements that are too wide, while another policy keeps their holder from using the excess.

use serde_json::{Value, json};

use super::{APP, READ, SECRET, found, policy, with};

const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/limit";
const ALL: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*";

/// The access checks that report an application with this statement, after an edit.
fn access(statement: &Value, edit: impl Fn(&mut Value)) -> Vec<String> {
    let report = with(|json| {
        let mut own = json!({"Effect": "Allow"});
        statement.as_object().unwrap().iter().for_each(|(name, value)| own[name] = value.clone());
        json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"] = json!([own]);
        edit(json);
    });
    found(&report).into_iter().filter(|it| it.starts_with("access.")).map(str::to_owned).collect()
}

fn bound(statement: Value) -> impl Fn(&mut Value) {
    move |json| {
        let key = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
        json["ManagedPolicies"][BOUNDARY] = policy(json!([statement.clone(), key]));
        json["Principals"][0]["PermissionsBoundary"] = json!(BOUNDARY);
    }
}

fn denied(statement: Value) -> impl Fn(&mut Value) {
    move |json| {
        let own = json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"].as_array_mut();
        own.unwrap().push(statement.clone());
    }
}

fn controlled(statement: Value) -> impl Fn(&mut Value) {
    move |json| {
        json["ServiceControlPolicies"][1]["Policies"][0]["Document"]["Statement"] = json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"}, statement]);
    }
}

#[test]
fn a_statement_counts_for_what_other_policies_leave_of_it() {
    let not = |resource: &str| json!({"Effect": "Deny", "Action": "secretsmanager:*Secret*", "NotResource": resource});
    let only =
        |action: &str, resource: &str| json!({"Effect": "Allow", "Action": action, "Resource": resource});
    let path = SECRET.replace("db-AbCdEf", "");
    for (statement, check) in [
        (json!({"Action": READ, "Resource": "*"}), "access.all-secrets"),
        (json!({"Action": READ, "Resource": ALL}), "access.all-secrets"),
        (json!({"Action": READ, "NotResource": format!("{ALL}dev/*")}), "access.not-resource"),
        (json!({"Action": READ, "Resource": format!("{path}db-*")}), "access.name-wildcard"),
        (json!({"Action": READ, "Resource": format!("{path}db-??????")}), "access.recreate"),
        (json!({"Action": READ, "Resource": format!("{path}*")}), "access.recreate"),
    ] {
        assert!(access(&statement, |_| ()).iter().any(|it| it == check), "{check}");
        assert_eq!(access(&statement, denied(not(SECRET))), [""; 0], "{check}");
        assert_eq!(access(&statement, controlled(not(SECRET))), [""; 0], "{check}");
        assert_eq!(access(&statement, bound(only(READ, SECRET))), [""; 0], "{check}");
        // A policy that removes none of it changes nothing.
        let other =
            json!({"Effect": "Deny", "Action": "secretsmanager:*", "Resource": format!("{ALL}dev/x-AbCdEf")});
        assert!(access(&statement, denied(other)).iter().any(|it| it == check), "{check}");
        assert!(access(&statement, bound(only("*", "*"))).iter().any(|it| it == check), "{check}");
    }
    for statement in [
        json!({"Action": "secretsmanager:*", "Resource": SECRET}),
        json!({"NotAction": "iam:*", "Resource": SECRET}),
    ] {
        let check = if statement["Action"].is_null() { "access.not-action" } else { "access.all-actions" };
        assert!(access(&statement, |_| ()).iter().any(|it| it == check), "{check}");
        assert_eq!(access(&statement, bound(only(READ, "*"))), [""; 0], "{check}");
        let rest = json!({"Effect": "Deny", "NotAction": [READ, "kms:Decrypt"], "Resource": "*"});
        assert_eq!(access(&statement, denied(rest)), [""; 0], "{check}");
        assert!(
            access(&statement, bound(only("secretsmanager:*", "*"))).iter().any(|it| it == check),
            "{check}"
        );
    }
}

/// A policy document that is not known may allow everything.
#[test]
fn a_boundary_that_is_not_known_spares_nobody() {
    let statement = json!({"Action": READ, "Resource": "*"});
    let unknown = |json: &mut Value| json["Principals"][0]["PermissionsBoundary"] = json!(BOUNDARY);
    assert_eq!(access(&statement, unknown), ["access.all-secrets"]);
}

#[test]
fn who_is_kept_out_is_not_named_as_a_holder() {
    const MANAGED: &str = "arn:aws:iam::111122223333:policy/reads";
    let report = with(|json| {
        let read = policy(json!([{"Effect": "Allow", "Action": READ, "Resource": ALL}]));
        json["ManagedPolicies"][MANAGED] = read;
        for place in 0..2 {
            json["Principals"][place]["AttachedPolicies"] = json!([MANAGED]);
        }
        json["ManagedPolicies"][BOUNDARY] =
            policy(json!([{"Effect": "Allow", "Action": "*", "Resource": [SECRET, "arn:aws:kms:*"]}]));
        json["Principals"][0]["PermissionsBoundary"] = json!(BOUNDARY);
    });
    let finding = super::of(&report, "access.all-secrets");
    assert!(finding.seen.ends_with("held by role/rotation") && !finding.seen.contains(APP), "{finding:?}");
}

#[test]
fn a_rotation_role_counts_for_what_its_boundary_leaves() {
    let wide = |bounds: Option<Value>, action: &str, resource: &str| {
        let report = with(|json| {
            let all = &mut json["Principals"][1]["InlinePolicies"][0]["Document"]["Statement"];
            all[0]["Action"] = json!(action);
            all[0]["Resource"] = json!(resource);
            if let Some(bounds) = &bounds {
                json["ManagedPolicies"][BOUNDARY] = policy(json!([bounds]));
                json["Principals"][1]["PermissionsBoundary"] = json!(BOUNDARY);
            }
        });
        found(&report).contains("access.rotation-wide")
    };
    let name = SECRET.replace("-AbCdEf", "-*");
    for (action, resource) in
        [("secretsmanager:*", "*"), ("secretsmanager:*", SECRET), ("secretsmanager:*", name.as_str())]
    {
        assert!(wide(None, action, resource), "{action} {resource}");
        let actions = ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"];
        let actions: Vec<_> = actions.iter().map(|name| format!("secretsmanager:{name}")).collect();
        let bounds = json!({"Effect": "Allow", "Action": actions, "Resource": SECRET});
        assert!(!wide(Some(bounds), action, resource), "{action} {resource}");
    }
}
