//! Principals that can read although something seems to keep them out.

use secretcache_access::audit::Cause;
use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, READ, ROTATION, SECRET, allow, found, good, of, outcome, policy, shared, snapshot, with};

fn trust(principal: Value, action: Value) -> Value {
    policy(json!([{"Effect": "Allow", "Principal": principal, "Action": action}]))
}

#[test]
fn a_session_may_bring_another_value_of_its_roles_tag() {
    let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
    let reads = |change: fn(&mut Value), tagging: bool| {
        outcome(
            |json| {
                let role = &mut json["Principals"][0];
                role["Tags"] = json!({"team": "other"});
                let actions = if tagging {
                    json!(["sts:AssumeRole", "sts:TagSession"])
                } else {
                    json!("sts:AssumeRole")
                };
                role["TrustPolicy"] = trust(root.clone(), actions);
                change(&mut role["InlinePolicies"][0]["Document"]["Statement"]);
            },
            0,
        )
    };
    let allowed: fn(&mut Value) =
        |all| all[0]["Condition"] = json!({"StringEquals": {"aws:PrincipalTag/team": "checkout"}});
    let denied: fn(&mut Value) = |all| {
        all.as_array_mut().unwrap().push(json!({"Effect": "Deny", "Action": READ, "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "other"}}}));
    };
    let variable: fn(&mut Value) = |all| {
        all[0]["Resource"] =
            json!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/${aws:PrincipalTag/team}/*");
    };
    for change in [allowed, denied, variable] {
        assert_eq!(reads(change, false), Outcome::Denied);
        assert_eq!(reads(change, true), Outcome::Conditional);
    }
    // A condition that every value meets, or that only requires the tag, does not depend on the value.
    let any: fn(&mut Value) = |all| {
        all[0]["Condition"] =
            json!({"StringLike": {"aws:PrincipalTag/team": "*"}, "Null": {"aws:PrincipalTag/team": "false"}});
    };
    assert_eq!(reads(any, true), Outcome::Allowed);
}

#[test]
fn a_role_that_a_condition_names_is_not_limited_by_its_boundary() {
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    let reads = |condition: Value, statement: Option<Value>| {
        outcome(
            |json| {
                json["ManagedPolicies"][boundary] = policy(json!([statement
                    .clone()
                    .unwrap_or(json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))]));
                json["Principals"][0]["PermissionsBoundary"] = json!(boundary);
                json["Principals"][0]["InlinePolicies"] = json!([]);
                json["Secrets"][0]["ResourcePolicy"] =
                    policy(json!([allow(READ, json!({"AWS": "*"}), condition.clone())]));
                json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId");
            },
            0,
        )
    };
    assert_eq!(reads(json!({"ArnEquals": {"aws:PrincipalArn": APP}}), None), Outcome::Allowed);
    assert_eq!(
        reads(json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}), None),
        Outcome::Denied
    );
    let deny = json!({"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"});
    assert_eq!(reads(json!({"ArnEquals": {"aws:PrincipalArn": APP}}), Some(deny)), Outcome::Denied);
}

#[test]
fn an_endpoint_keeps_out_only_who_takes_it() {
    let read = |principal: Value| {
        let mut json = good();
        json["VpcEndpoints"][0]["Policy"] = policy(json!([allow(
            READ,
            json!({"AWS": "arn:aws:iam::111122223333:role/rotation"}),
            json!({})
        )]));
        json["Principals"][0]["TrustPolicy"] = trust(principal, json!("sts:AssumeRole"));
        let snapshot = snapshot(json);
        let access = Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[0]);
        (access.outcome(), access.avoids.map(|endpoint| endpoint.vpc_endpoint_id.clone()))
    };
    // An ECS service runs as the role in the endpoint's VPC. A task outside of the service can take another path.
    for others in [
        json!({"Service": "ecs-tasks.amazonaws.com"}),
        json!({"Service": ["ecs-tasks.amazonaws.com", "glue.amazonaws.com"]}),
        json!({"Service": "ecs-tasks.amazonaws.com", "AWS": "arn:aws:iam::111122223333:root"}),
        json!({"Federated": "arn:aws:iam::111122223333:saml-provider/people"}),
    ] {
        let (outcome, avoided) = read(others.clone());
        assert_eq!(outcome, Outcome::Conditional, "{others}");
        assert!(avoided.is_some(), "{others}");
    }
}

#[test]
fn an_id_of_nobody_here_is_a_stranger() {
    let named = |id: &str| {
        shared(json!([allow(READ, json!("*"), json!({"StringLike": {"aws:userid": format!("{id}:*")}}))]))
    };
    let report = named("AROAELSEWHERE0000000");
    let finding = of(&report, "sharing.cross-account");
    assert!(
        finding.seen.starts_with("AROAELSEWHERE0000000, an id unknown in this account, can read it"),
        "{finding:?}"
    );
    // A statement for only this id is removed.
    assert!(finding.run[0].contains("delete-resource-policy"), "{finding:?}");
    assert!(!found(&named("AROAAPP0000000000000")).contains("sharing.cross-account"));
}

#[test]
fn a_federated_user_of_the_account_is_listed() {
    let bob = "arn:aws:sts::111122223333:federated-user/bob";
    let mut json = good();
    json["Secrets"][0]["ResourcePolicy"] = policy(json!([allow(READ, json!({"AWS": bob}), json!({}))]));
    let report = secretcache_access::audit::audit(&snapshot(json.clone()));
    assert!(!found(&report).contains("sharing.cross-account"), "{report:#?}");
    // A Deny that exempts the readers must not be printed without this one.
    assert!(of(&report, "sharing.open-to-account").run.is_empty());
    let snapshot = snapshot(json);
    let account = Account::new(&snapshot);
    let named: Vec<_> =
        account.federated_users(&snapshot.secrets[0]).into_iter().map(|it| it.principal).collect();
    assert_eq!(named, [bob]);
    assert!(account.outsiders(&snapshot.secrets[0]).is_empty());
}

#[test]
fn a_pattern_that_every_secret_matches_is_every_secret() {
    let is_all = |name: &str| {
        let report = with(|json| {
            json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"][0]["Resource"] =
                json!(format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:{name}"));
        });
        found(&report).contains("access.all-secrets")
    };
    for name in ["*", "*-??????", "*/*", "*-*", "??*", "*?"] {
        assert!(is_all(name), "{name}");
    }
    for name in ["prod/*", "*o*", "*b-??????", "prod/checkout/db-??????"] {
        assert!(!is_all(name), "{name}");
    }
}

#[test]
fn a_deny_that_keeps_nobody_of_the_account_out_is_none() {
    let is_open = |condition: Value| {
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": READ, "Resource": "*", "Condition": condition});
        found(&shared(json!([deny]))).contains("sharing.open-to-account")
    };
    for condition in [
        json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        json!({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}}),
        json!({"StringNotLike": {"aws:userid": "*"}}),
    ] {
        assert!(is_open(condition.clone()), "{condition}");
    }
    for condition in [
        json!({"ArnNotEquals": {"aws:PrincipalArn": [APP, super::ROTATION]}}),
        json!({"ArnNotLike": {"aws:PrincipalArn": [APP, "arn:aws:iam::111122223333:role/rotat*"]}}),
        json!({"StringNotLike": {"aws:userid": ["AROAAPP0000000000000:*", "AROAROT0000000000000:*"]}}),
        json!({"StringNotEquals": {"aws:PrincipalTag/reads": "checkout"}}),
    ] {
        assert!(!is_open(condition.clone()), "{condition}");
    }
}

#[test]
fn without_roles_and_users_nobody_is_counted() {
    let report = with(|json| drop(json.as_object_mut().unwrap().remove("Principals")));
    let named = report.not_checked.iter().find(|it| it.check == "access.all-secrets").unwrap();
    assert_eq!(named.cause, Cause::NotKnown, "{named:?}");
    let open = with(|json| {
        json.as_object_mut().unwrap().remove("Principals");
        json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
    });
    assert!(of(&open, "sharing.open-to-account").seen.ends_with("who can read it is not known"), "{open:#?}");
}

#[test]
fn a_wildcard_that_leaves_its_path_is_loose_wherever_it_stands() {
    let report = |place: usize, name: &str| {
        with(|json| {
            json["Principals"][place]["InlinePolicies"][0]["Document"]["Statement"][0]["Resource"] =
                json!(format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:{name}"));
        })
    };
    for name in [
        "*/checkout/*",
        "*db-AbCdEf",
        "*/checkout/db-??????",
        "prod*/db-??????",
        "prod/checkout/db*",
        "*prod/*",
        "p*/db-*",
    ] {
        assert!(found(&report(0, name)).contains("access.name-wildcard"), "{name}");
        assert!(found(&report(1, name)).contains("access.rotation-wide"), "{name}");
    }
    for name in ["prod/*", "prod/*/db-??????", "prod/checkout/*", "prod/checkout/db-??????", "prod/*/*"] {
        assert!(!found(&report(0, name)).contains("access.name-wildcard"), "{name}");
    }
    // A Deny can keep it in its path.
    let bound = with(|json| {
        let own = &mut json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"];
        own[0]["Resource"] =
            json!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:*/checkout/db-??????");
        own.as_array_mut().unwrap().push(json!({"Effect": "Deny", "Action": "secretsmanager:*",
            "NotResource": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/*"}));
    });
    assert!(!found(&bound).contains("access.name-wildcard"), "{bound:#?}");
}

/// An action without a resource is not allowed by a statement on a secret.
#[test]
fn a_random_password_is_of_no_secret() {
    let lacks = |statement: Value| {
        let report = with(|json| {
            json["Principals"][1]["InlinePolicies"][0]["Document"]["Statement"][1] = statement.clone();
        });
        report
            .findings
            .iter()
            .any(|it| it.check == "access.rotation-lacks" && it.seen.contains("GetRandomPassword"))
    };
    let statement = |effect: &str, resource: &str| json!({"Effect": effect, "Action": "secretsmanager:GetRandomPassword", "Resource": resource});
    assert!(!lacks(statement("Allow", "*")));
    assert!(lacks(statement("Allow", super::SECRET)));
    assert!(lacks(statement("Allow", "arn:aws:secretsmanager:*:*:secret:*")));
    assert!(lacks(statement("Deny", "*")));
}

#[test]
fn boundaries_and_service_linked_roles_are_as_documented() {
    let deny = json!({"Effect": "Deny", "NotPrincipal": {"AWS": [APP, "arn:aws:iam::111122223333:root"]},
        "Action": READ, "Resource": "*"});
    let spared = |json: &mut Value| json["Secrets"][0]["ResourcePolicy"] = policy(json!([deny]));
    assert_eq!(outcome(spared, 0), Outcome::Allowed);
    let bound = |json: &mut Value| {
        spared(json);
        json["Principals"][0]["PermissionsBoundary"] = json!("arn:aws:iam::aws:policy/AdministratorAccess");
    };
    assert_eq!(outcome(bound, 0), Outcome::Denied);

    let scp = |json: &mut Value| {
        json["ServiceControlPolicies"][0]["Policies"][0]["Document"] =
            policy(json!([{"Effect": "Deny", "Action": READ, "Resource": "*"}]));
        json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
        json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId");
    };
    assert_eq!(outcome(scp, 0), Outcome::Denied);
    let linked = |json: &mut Value| {
        scp(json);
        json["Principals"][0]["Arn"] =
            json!("arn:aws:iam::111122223333:role/aws-service-role/rds.amazonaws.com/x");
    };
    assert_eq!(outcome(linked, 0), Outcome::Allowed);
}

#[test]
fn services_and_instances_read_through_the_endpoint_of_their_vpc() {
    let closed = |json: &mut Value| {
        json["VpcEndpoints"][0]["Policy"] = policy(json!([allow(READ, json!({"AWS": ROTATION}), json!({}))]));
    };
    assert_eq!(outcome(closed, 0), Outcome::Conditional);
    let elsewhere = |json: &mut Value| {
        closed(json);
        json["Workloads"][0]["VpcId"] = json!("vpc-2");
    };
    assert_eq!(outcome(elsewhere, 0), Outcome::Allowed);
}

#[test]
fn what_stops_every_read_is_said() {
    let obstacle = |edit: &dyn Fn(&mut Value)| {
        let mut json = good();
        edit(&mut json);
        let snapshot = snapshot(json);
        Account::new(&snapshot).obstacle(&snapshot.secrets[0])
    };
    assert_eq!(obstacle(&|_| ()), None);
    for state in ["Disabled", "PendingDeletion"] {
        assert!(
            obstacle(&|json| json["Keys"][0]["KeyState"] = json!(state))
                .unwrap()
                .ends_with(&format!("is {state}"))
        );
    }
    let deleted = |json: &mut Value| json["Secrets"][0]["DeletedDate"] = json!("2026-03-20T00:00:00Z");
    assert!(obstacle(&deleted).unwrap().contains("scheduled for deletion"));
    let empty = |json: &mut Value| json["Secrets"][0]["Versions"] = json!([]);
    assert!(obstacle(&empty).unwrap().contains("no version"));
    let refused = |json: &mut Value| {
        empty(json);
        json["NotCollected"] =
            json!([{"Permission": "secretsmanager:ListSecretVersionIds", "Resource": SECRET, "Error": "x"}]);
    };
    assert_eq!(obstacle(&refused), None);
}
