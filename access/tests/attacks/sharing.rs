//! Resource policies of replicas, and the Deny that keeps others out without locking out readers.

use secretcache_access::audit::Severity;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, OTHER, READ, ROTATION, allow, found, good, of, policy, shared, snapshot, with};

#[test]
fn a_replica_is_as_open_as_its_own_policy() {
    let replica = |statement: Value| {
        with(|json| {
            json["Secrets"][0]["ReplicationStatus"][0]["ResourcePolicy"] = policy(json!([statement.clone()]));
        })
    };
    let report = replica(allow(READ, json!("*"), json!({})));
    let finding = of(&report, "sharing.public");
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.seen.contains("of the replica in eu-west-1"), "{finding:?}");
    assert!(
        finding.resource.contains(":eu-west-1:") && finding.run[0].ends_with("--region eu-west-1"),
        "{finding:?}"
    );
    let report =
        replica(allow(READ, json!("*"), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})));
    assert_eq!(of(&report, "sharing.organization").severity, Severity::High);
    let report = replica(allow(READ, json!({"AWS": OTHER}), json!({})));
    assert!(of(&report, "sharing.cross-account").seen.starts_with(OTHER));
    let report = replica(allow(READ, json!({"AWS": APP}), json!({})));
    assert_eq!(found(&report).into_iter().collect::<Vec<_>>(), ["sharing.replica-policy"]);
}

fn open(edit: impl Fn(&mut Value)) -> secretcache_access::audit::Finding {
    let report = with(|json| {
        json["Secrets"][0].as_object_mut().unwrap().remove("ResourcePolicy");
        edit(json);
    });
    of(&report, "sharing.open-to-account").clone()
}

const ADMIN: &str = "arn:aws:iam::111122223333:user/admin";

#[test]
fn the_deny_says_which_administrators_it_keeps_out() {
    let finding = open(|json| {
        json["Keys"][0]["Policy"]["Statement"][1]["Principal"]["AWS"]
            .as_array_mut()
            .unwrap()
            .push(json!(ADMIN));
    });
    let (run, advice) = (finding.run.join("\n"), finding.advice.unwrap());
    assert!(run.contains(APP) && run.contains(ROTATION) && !run.contains(ADMIN), "{run}");
    assert!(advice.contains(ADMIN) && advice.contains("can still change the policy"), "{advice}");
}

#[test]
fn the_deny_spares_programs_that_run_as_administrators() {
    const ROLE: &str = "arn:aws:iam::111122223333:role/everything";
    let with_role = |more: fn(&mut Value)| {
        let finding = open(|json| {
            let role =
                json!({"Arn": ROLE, "AttachedPolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"]});
            json["Principals"].as_array_mut().unwrap().push(role);
            json["Keys"][0]["Policy"]["Statement"][1]["Principal"]["AWS"]
                .as_array_mut()
                .unwrap()
                .push(json!(ROLE));
            more(json);
        });
        finding.run.join("\n").contains(ROLE)
    };
    let trusted = |principal: Value| {
        policy(json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]))
    };
    assert!(!with_role(|_| ()));
    assert!(with_role(|json| json["Workloads"][0]["Roles"] = json!([ROLE])));
    assert!(with_role(|json| json["TaskDefinitions"][0]["TaskRoleArn"] = json!(ROLE)));
    assert!(with_role(|json| json["Functions"][0]["Role"] = json!(ROLE)));
    // The role was pushed last.
    assert!(with_role(|json| json["VersionReads"] = json!([{"Principal": ROLE, "Count": 1}])));
    for (principal, is_spared) in [
        (json!({"Service": "ec2.amazonaws.com"}), true),
        (
            json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A"}),
            true,
        ),
        (json!({"Federated": "arn:aws:iam::111122223333:saml-provider/people"}), false),
        (json!({"AWS": "arn:aws:iam::111122223333:root"}), false),
    ] {
        let finding = open(|json| {
            let role = json!({"Arn": ROLE, "AttachedPolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"],
                "TrustPolicy": trusted(principal.clone())});
            json["Principals"].as_array_mut().unwrap().push(role);
            json["Keys"][0]["Policy"]["Statement"][1]["Principal"]["AWS"]
                .as_array_mut()
                .unwrap()
                .push(json!(ROLE));
        });
        assert_eq!(finding.run.join("\n").contains(ROLE), is_spared, "{principal}");
    }
}

#[test]
fn one_reader_is_one_principal() {
    let finding = open(|json| drop(json["Principals"].as_array_mut().unwrap().drain(1..)));
    assert!(finding.seen.contains("; 1 principal can read it"), "{finding:?}");
}

#[test]
fn the_deny_spares_a_rotation_that_cannot_read_yet() {
    let finding = open(|json| json["Principals"][1]["InlinePolicies"] = json!([]));
    assert!(finding.run.join("\n").contains(ROTATION), "{finding:?}");
    let finding = open(|json| json["Functions"] = json!([]));
    assert!(finding.run.is_empty() && finding.advice.is_some(), "{finding:?}");
}

#[test]
fn a_principal_may_be_named_by_its_id() {
    let deny = json!({"Sid": "D", "Effect": "Deny", "Action": READ, "Resource": "*", "NotPrincipal":
        {"AWS": ["AROAAPP0000000000000", "AROAROT0000000000000", "arn:aws:iam::111122223333:root"]}});
    let report = with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([deny.clone()])));
    assert!(found(&report).is_empty(), "{report:#?}");
    let mut gone = deny.clone();
    gone["NotPrincipal"]["AWS"][0] = json!("AROAGONE000000000000");
    let report = with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([gone.clone()])));
    assert!(found(&report).contains("sharing.ghost-principal"), "{report:#?}");
}

#[test]
fn no_deny_is_printed_while_a_reader_may_be_missing() {
    for permission in ["iam:GetAccountAuthorizationDetails", "lambda:ListFunctions", "ec2:DescribeInstances"]
    {
        let finding =
            open(|json| json["NotCollected"] = json!([{"Permission": permission, "Error": "AccessDenied"}]));
        assert!(finding.run.is_empty() && finding.advice.is_some(), "{permission}");
    }
    let finding = open(|json| {
        json["Principals"][2]["AttachedPolicies"] = json!(["arn:aws:iam::111122223333:policy/x"])
    });
    assert!(finding.run.is_empty() && finding.advice.is_some());
}

/// Conditions on the time: an expired statement opens nothing, a future one does.
#[test]
fn what_is_over_is_not_shared_any_more() {
    const OIDC: &str = "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com";
    let (past, future) = ("2026-02-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let cases = [
        (json!("*"), json!({}), "sharing.public"),
        (json!("*"), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), "sharing.organization"),
        (json!({"AWS": OTHER}), json!({}), "sharing.cross-account"),
        (json!({"Federated": OIDC}), json!({}), "sharing.cross-account"),
    ];
    for (principal, condition, check) in cases {
        let is_found = |operator: &str, time: &str| {
            let mut condition = condition.clone();
            condition[operator]["aws:CurrentTime"] = json!(time);
            let mut replica = allow(READ, principal.clone(), condition);
            replica["Sid"] = json!("Timed");
            let report = with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(json!([replica.clone()])));
            found(&report).contains(check)
        };
        assert!(!is_found("DateLessThan", past), "{check}");
        assert!(is_found("DateLessThan", future), "{check}");
        assert!(is_found("DateGreaterThan", future), "{check}");
        assert!(is_found("DateGreaterThan", past), "{check}");
    }
    // A Deny that ends, or has not started, does not keep strangers out for good.
    let denied = |operator: &str, time: &str| {
        let mut condition = json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}});
        condition[operator]["aws:CurrentTime"] = json!(time);
        let mut deny = allow("secretsmanager:*", json!("*"), condition);
        deny["Effect"] = json!("Deny");
        let statements = json!([allow(READ, json!("*"), json!({})), deny]);
        let report = with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(statements.clone()));
        !found(&report).contains("sharing.public")
    };
    assert!(denied("DateGreaterThan", past));
    assert!(!denied("DateGreaterThan", future) && !denied("DateLessThan", future));
    // The same holds for a key.
    let of_key = |time: &str| {
        let report = with(|json| {
            let condition = json!({"DateLessThan": {"aws:CurrentTime": time}});
            let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
            all.push(allow("kms:PutKeyPolicy", json!("*"), condition));
        });
        found(&report).contains("key.policy-public")
    };
    assert!(of_key(future) && !of_key(past));
}

/// Only roles, users and accounts have an ARN that `aws:PrincipalArn` can equal.
#[test]
fn whom_no_principal_arn_stands_for_is_in_no_deny() {
    let run = |principal: Value| {
        let report = with(|json| {
            json["Secrets"][0]["ResourcePolicy"] = policy(json!([allow(READ, principal.clone(), json!({}))]));
        });
        let finding = of(&report, "sharing.open-to-account").clone();
        assert!(!finding.run.is_empty() || finding.advice.is_some());
        finding.run.join("\n")
    };
    for provider in [
        "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com",
        "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A",
        "arn:aws:iam::444455556666:saml-provider/people",
        "cognito-identity.amazonaws.com",
        "accounts.google.com",
    ] {
        assert_eq!(run(json!({"Federated": provider})), "", "{provider}");
    }
    assert!(run(json!({"AWS": OTHER})).contains(OTHER));
    assert!(run(json!({"AWS": "arn:aws:iam::444455556666:root"})).contains("arn:aws:iam::444455556666:*"));
    let service = run(json!({"Service": "rds.amazonaws.com"}));
    assert!(service.contains("aws:PrincipalIsAWSService") && !service.contains("rds.amazonaws.com\"]"));
}

/// A key policy cannot name an identity provider as an AWS principal: KMS would refuse the whole policy.
#[test]
fn a_provider_of_identities_is_no_principal_of_a_key() {
    const OIDC: &str = "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com";
    let kept_out = |principal: Value| {
        let report = with(|json| {
            json["Secrets"][0]["ResourcePolicy"] = policy(json!([allow(READ, principal.clone(), json!({}))]));
        });
        found(&report).contains("key.shared-closed")
    };
    assert!(kept_out(json!({"AWS": OTHER})));
    assert!(!kept_out(json!({"Federated": OIDC})));
}

#[test]
fn a_second_deny_of_reads_has_a_name_of_its_own() {
    let report = with(|json| {
        let deny = &mut json["Secrets"][0]["ResourcePolicy"]["Statement"][0];
        deny["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] = json!("arn:aws:iam::111122223333:*");
    });
    assert!(of(&report, "sharing.open-to-account").run[0].contains("OnlyTheseRead2"), "{report:#?}");
}

#[test]
fn a_wildcard_in_a_condition_keeps_nobody_out() {
    for condition in [
        json!({}),
        json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"}}),
        json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}}),
        json!({"StringLike": {"aws:PrincipalAccount": "1*"}}),
        json!({"StringLike": {"aws:PrincipalAccount": "????????????"}}),
        json!({"StringLike": {"aws:SourceVpce": "vpce-*"}}),
        json!({"StringLike": {"aws:userId": "*:app"}}),
        json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}),
        json!({"Null": {"aws:PrincipalAccount": "false"}}),
        json!({"Null": {"aws:PrincipalOrgID": "false"}}),
        json!({"StringLike": {"aws:PrincipalOrgPaths": "o-*/r-*"}}),
        json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert!(found(&report).contains("sharing.public"), "{condition}");
    }
    for condition in [
        json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}}),
        json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"StringEqualsIfExists": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
        json!({"StringLike": {"aws:userId": "AROAAPP0000000000000:*"}}),
        json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert!(!found(&report).contains("sharing.public"), "{condition}");
    }
}

#[test]
fn who_may_write_or_replace_the_policy_is_as_public_as_who_reads() {
    for action in ["PutSecretValue", "UpdateSecret", "DeleteSecret", "PutResourcePolicy"] {
        let report = shared(json!([allow(format!("secretsmanager:{action}"), json!("*"), json!({}))]));
        assert!(of(&report, "sharing.public").seen.contains(action));
    }
    for (action, seen) in [
        ("kms:PutKeyPolicy", "PutKeyPolicy"),
        ("kms:CreateGrant", "CreateGrant"),
        ("kms:ReEncrypt*", "ReEncryptFrom"),
    ] {
        let report = with(|json| {
            let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
            all.push(allow(action, json!({"AWS": "*"}), json!({})));
        });
        assert!(of(&report, "key.policy-public").seen.contains(seen), "{action}");
    }
    let of_key = |condition: Value| {
        with(|json| {
            let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
            all.push(allow("kms:Decrypt", json!("*"), condition.clone()));
        })
    };
    assert!(found(&of_key(json!({"StringLike": {"kms:CallerAccount": "*"}}))).contains("key.policy-public"));
    assert!(
        !found(&of_key(json!({"StringEquals": {"kms:CallerAccount": "111122223333"}})))
            .contains("key.policy-public")
    );
    let of_another = of_key(json!({"StringEquals": {"kms:CallerAccount": "444455556666"}}));
    assert!(of(&of_another, "sharing.cross-account").seen.contains("444455556666"));
}

#[test]
fn sharing_by_a_condition_is_sharing() {
    for (condition, id) in [
        (json!({"StringEquals": {"aws:PrincipalAccount": ["111122223333", "444455556666"]}}), "444455556666"),
        (json!({"ArnEquals": {"aws:PrincipalArn": OTHER}}), OTHER),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/*"}}), "444455556666"),
    ] {
        let report = shared(json!([allow(READ, json!("*"), condition.clone())]));
        assert!(
            of(&report, "sharing.cross-account").seen.starts_with(&format!("{id} can read it")),
            "{condition}"
        );
        assert!(!found(&report).contains("sharing.public"), "{condition}");
    }
}

#[test]
fn what_a_deny_keeps_out_is_not_let_in() {
    let deny = |condition: Value| json!({"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*", "Condition": condition});
    for condition in [
        json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        json!({"ArnNotLike": {"aws:PrincipalArn": [APP, ROTATION]}}),
        json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    ] {
        let report =
            shared(json!([allow("secretsmanager:*", json!("*"), json!({})), deny(condition.clone())]));
        assert!(!found(&report).contains("sharing.public"), "{condition}");
    }
    let outsiders = |statements: Value| {
        let mut json = good();
        json["Secrets"][0]["ResourcePolicy"] = policy(statements);
        let snapshot = snapshot(json);
        let all = Account::new(&snapshot).outsiders(&snapshot.secrets[0]);
        all.into_iter().map(|it| it.principal).collect::<Vec<_>>()
    };
    let to_other = || allow(READ, json!({"AWS": OTHER}), json!({}));
    assert_eq!(outsiders(json!([to_other()])), [OTHER]);
    let own_only = deny(json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}));
    assert_eq!(outsiders(json!([to_other(), own_only])), [""; 0]);
    let mut elsewhere = to_other();
    elsewhere["Resource"] = json!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:other-AbCdEf");
    assert_eq!(outsiders(json!([elsewhere])), [""; 0]);
    let own = allow(READ, json!("*"), json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}));
    assert_eq!(outsiders(json!([own])), [""; 0]);
}

#[test]
fn a_deny_spares_those_whom_the_policy_lets_in() {
    let report = shared(json!([
        allow(READ, json!({"AWS": OTHER}), json!({})),
        allow(READ, json!({"AWS": "777788889999"}), json!({})),
        allow(READ, json!({"Service": "redshift.amazonaws.com"}), json!({})),
    ]));
    let run = of(&report, "sharing.open-to-account").run.join("\n");
    assert!(run.contains(OTHER) && run.contains("arn:aws:iam::777788889999:*"), "{run}");
    assert!(run.contains("aws:PrincipalIsAWSService"), "{run}");
}
