//! What somebody may try: policies that look closed and are open, snapshots with holes, and fixes that break what works.

mod alarms;
mod becoming;
mod conditions;
mod control;
mod endpoints;
mod fixes;
mod functions;
mod jobs;
mod keys;
mod metrics;
mod networks;
mod paths;
mod policies;
mod printed;
mod readers;
mod sharing;
mod spared;
mod strangers;
mod trust;
mod unknown;

use std::collections::BTreeSet;

use secretcache_access::Snapshot;
use secretcache_access::audit::{Finding, Report, audit};
use secretcache_access::evaluate::Outcome;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

const APP: &str = "arn:aws:iam::111122223333:role/app";
const ROTATION: &str = "arn:aws:iam::111122223333:role/rotation";
const OTHER: &str = "arn:aws:iam::444455556666:role/x";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf";

fn good() -> Value {
    serde_json::from_str(include_str!("../checks/good.json")).unwrap()
}

fn snapshot(json: Value) -> Snapshot {
    let snapshot: Snapshot = serde_json::from_value(json).unwrap();
    Snapshot::parse(&snapshot.to_json()).unwrap()
}

fn with(edit: impl Fn(&mut Value)) -> Report {
    let mut json = good();
    edit(&mut json);
    let report = audit(&snapshot(json));
    // IAM, KMS and Secrets Manager refuse a policy in which a Sid is there twice; moto takes it.
    for document in report.findings.iter().flat_map(|it| &it.run).flat_map(|run| documents(run)) {
        let sids: Vec<_> = document["Statement"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["Sid"].as_str())
            .collect();
        assert_eq!(sids.iter().collect::<BTreeSet<_>>().len(), sids.len(), "{document}");
    }
    report
}

/// The policies in a command.
fn documents(run: &str) -> Vec<Value> {
    let words = run.replace(r"'\''", "\u{0}");
    let quoted = words.split('\'').map(|word| word.replace('\u{0}', "'"));
    let parsed = quoted.filter_map(|word| serde_json::from_str::<Value>(&word).ok());
    parsed.filter(|document| document["Statement"].is_array()).collect()
}

fn found(report: &Report) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.check).collect()
}

fn of<'r>(report: &'r Report, check: &str) -> &'r Finding {
    let mut all = report.findings.iter().filter(|finding| finding.check == check);
    all.next().unwrap_or_else(|| panic!("no {check} in {:#?}", report.findings))
}

fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(action: impl Into<Value>, principal: Value, condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": action.into(), "Principal": principal, "Resource": "*", "Condition": condition})
}

/// The secret's policy with a statement more; the Deny that keeps others out is taken away.
fn shared(statements: Value) -> Report {
    with(|json| json["Secrets"][0]["ResourcePolicy"] = policy(statements.clone()))
}

const READ: &str = "secretsmanager:GetSecretValue";

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

fn outcome(edit: impl Fn(&mut Value), place: usize) -> Outcome {
    let mut json = good();
    edit(&mut json);
    let snapshot = snapshot(json);
    Account::new(&snapshot).read(&snapshot.secrets[0], &snapshot.principals[place]).outcome()
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
    // A Deny that is known decides whatever the rest says.
    assert_eq!(outcome(hidden, 2), Outcome::Denied);
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

#[test]
fn a_new_key_lets_in_whoever_the_default_key_did() {
    let report = with(|json| drop(json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId")));
    let run = of(&report, "key.default").run.join("\n");
    let start = run.find(r#"{"Version""#).unwrap();
    let text = run[start..].split_once('\'').unwrap().0;
    let document: Value = serde_json::from_str(text).unwrap();
    // With this policy on its key, readers and writers pass as before.
    for place in [0, 1] {
        let allowed = |json: &mut Value| json["Keys"][0]["Policy"] = document.clone();
        assert_eq!(outcome(allowed, place), Outcome::Allowed);
    }
    let report = with(|json| json["Keys"][0]["Policy"] = document.clone());
    assert_eq!(found(&report), BTreeSet::new());
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

#[test]
fn a_fix_takes_away_nothing_but_the_fault() {
    let at = |place: usize, statement: Value, is_partial: bool| {
        with(|json| {
            json["Principals"][place]["InlinePolicies"][0]["Document"] = policy(json!([statement.clone()]));
            json["IsPartial"] = json!(is_partial);
        })
    };
    let here = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:*";
    let reads = json!([READ, "secretsmanager:ListSecrets", "s3:GetObject"]);
    let statement =
        |action: &Value, resource: &str| json!({"Effect": "Allow", "Action": action, "Resource": resource});
    let narrowed = at(0, statement(&reads, here), false);
    let run = of(&narrowed, "access.all-secrets").run.join("\n");
    assert!(
        run.contains("s3:GetObject") && run.contains("secretsmanager:ListSecrets") && run.contains(SECRET),
        "{run}"
    );
    // Other Regions, other services, and what was not asked for.
    for (action, resource, is_partial) in
        [(&reads, "*", false), (&json!("*"), here, false), (&reads, here, true)]
    {
        let report = at(0, statement(action, resource), is_partial);
        let finding = of(&report, "access.all-secrets");
        assert!(finding.run.is_empty() && finding.advice.is_some(), "{action} {resource}");
    }
    let not_action = json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": here});
    assert!(of(&at(0, not_action, false), "access.not-action").run.is_empty());

    let rotates = json!([
        READ,
        "secretsmanager:DescribeSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:GetRandomPassword",
        "rds:ModifyDBInstance"
    ]);
    let run = of(&at(1, statement(&rotates, here), false), "access.rotation-wide").run.join("\n");
    assert!(run.contains("rds:ModifyDBInstance"), "{run}");
    assert!(of(&at(1, statement(&json!("*"), "*"), false), "access.rotation-wide").run.is_empty());
}

#[test]
fn readers_are_let_in_before_the_rule_for_all_is_revoked() {
    let open = |groups: Value| {
        with(|json| {
            json["SecurityGroups"][0]["Ingress"][0]["Groups"] = groups.clone();
            json["SecurityGroups"][0]["Ingress"][0]["Cidrs"] = json!(["0.0.0.0/0"]);
        })
    };
    let report = open(json!([]));
    let run = &of(&report, "network.open-group").run;
    assert!(
        run[0].contains("authorize-security-group-ingress") && run[0].contains("GroupId=sg-function"),
        "{run:?}"
    );
    assert!(run[1].contains("revoke-security-group-ingress"), "{run:?}");
    assert_eq!(of(&open(json!(["sg-function"])), "network.open-group").run.len(), 1);
}

#[test]
fn a_condition_on_secrets_names_all_that_use_the_key() {
    let second = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/api-GhIjKl";
    let two = |condition: Option<&str>, is_partial: bool| {
        with(|json| {
            let mut other = json["Secrets"][0].clone();
            other["ARN"] = json!(second);
            other["Name"] = json!("prod/checkout/api");
            json["Secrets"].as_array_mut().unwrap().push(other);
            json["IsPartial"] = json!(is_partial);
            json["Keys"][0]["Policy"]["Statement"][1]["Condition"]["StringLike"] = match condition {
                Some(arn) => json!({"kms:EncryptionContext:SecretARN": arn}),
                None => json!({}),
            };
        })
    };
    let run = of(&two(None, false), "key.encryption-context").run.join("\n");
    assert!(run.contains("prod/checkout/api-??????") && run.contains("prod/checkout/db-??????"), "{run}");
    assert!(of(&two(None, true), "key.encryption-context").run.is_empty());
    let old = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:gone-AbCdEf";
    let run = of(&two(Some(old), false), "key.context-mismatch").run.join("\n");
    assert!(run.contains(second) && run.contains(SECRET) && !run.contains(old), "{run}");
    // Where not every secret was looked at, it may be of one that is there.
    assert!(!found(&two(Some(old), true)).contains("key.context-mismatch"));
    let before = SECRET.replace("AbCdEf", "ZyXwVu");
    for is_partial in [false, true] {
        let report = two(Some(&before), is_partial);
        let all: Vec<_> = report.findings.iter().filter(|it| it.check == "key.context-mismatch").collect();
        assert!(all.len() == 1 && all[0].run[0].contains(SECRET), "{all:#?}");
        assert!(!all[0].run[0].contains(second) && !all[0].run[0].contains(&before), "{all:#?}");
    }
}

#[test]
fn a_replica_is_made_again_with_its_key_and_overwrites_nothing() {
    let report = with(|json| json["Secrets"][0]["ReplicationStatus"][0]["Status"] = json!("Failed"));
    let run = of(&report, "usage.replica").run.join("\n");
    assert!(
        run.contains("KmsKeyId=arn:aws:kms:eu-west-1:111122223333:key/5678") && !run.contains("overwrite"),
        "{run}"
    );
}
