//! Keys that serve more than the secrets of this account.

use std::collections::BTreeSet;

use secretcache_access::Document;
use secretcache_access::audit::Severity;
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};
use secretcache_access::reach::Account;
use secretcache_access::snapshot::Key;
use serde_json::{Value, json};

use super::{APP, SECRET, documents, found, good, of, outcome, snapshot, with};

fn statement(via: Value, context: Option<&str>) -> Value {
    let mut statement = json!({"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/other"},
        "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": via}}});
    if let Some(arn) = context {
        statement["Condition"]["StringLike"] = json!({"kms:EncryptionContext:SecretARN": arn});
    }
    statement
}

fn key_with(statement: &Value) -> secretcache_access::audit::Report {
    with(|json| {
        json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap().push(statement.clone());
    })
}

const HERE: &str = "secretsmanager.eu-central-1.amazonaws.com";

#[test]
fn what_another_service_does_with_the_key_is_no_mistake() {
    let report = key_with(&statement(json!("rds.eu-central-1.amazonaws.com"), Some(SECRET)));
    assert!(found(&report).is_empty(), "{report:#?}");
    let report = key_with(&statement(json!("secretsmanager.us-east-1.amazonaws.com"), Some(SECRET)));
    assert!(of(&report, "key.via-service-mismatch").run[0].contains(HERE));
}

#[test]
fn the_service_of_another_region_is_added_to_and_not_replaced() {
    let both = json!(["rds.eu-central-1.amazonaws.com", "secretsmanager.us-east-1.amazonaws.com"]);
    let report = key_with(&statement(both, Some(SECRET)));
    let run = &of(&report, "key.via-service-mismatch").run[0];
    assert!(run.contains("rds.eu-central-1") && run.contains(HERE), "{run}");
}

#[test]
fn a_condition_for_the_secrets_of_others_is_left_alone() {
    for foreign in
        [SECRET.replace("111122223333", "444455556666"), SECRET.replace("eu-central-1", "us-east-1")]
    {
        let report = key_with(&statement(json!(HERE), Some(&foreign)));
        assert!(found(&report).is_empty(), "{report:#?}");
    }
}

#[test]
fn the_context_of_secrets_is_not_asked_of_other_services() {
    let report = key_with(&statement(json!([HERE, "rds.eu-central-1.amazonaws.com"]), None));
    let finding = of(&report, "key.encryption-context");
    assert!(finding.run.is_empty() && finding.advice.is_some(), "{finding:?}");
}

#[test]
fn a_key_that_does_not_exist_is_found_and_stops_every_read() {
    const GONE: &str = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    let gone = |json: &mut Value| {
        json["Secrets"][0]["KmsKeyId"] = json!(GONE);
        json["Keys"] = json!([{"Arn": GONE, "KnownAs": [GONE], "KeyState": Key::MISSING,
            "Grants": {"Version": "2012-10-17", "Statement": []}}]);
    };
    let report = with(gone);
    let finding = of(&report, "key.state");
    assert_eq!((finding.severity, finding.resource.as_str()), (Severity::Critical, GONE));
    assert!(finding.run.is_empty() && finding.advice.is_some(), "{finding:?}");
    assert_eq!(found(&report).len(), 1, "{report:#?}");
    assert!(report.not_checked.is_empty(), "{:#?}", report.not_checked);
    let mut json = good();
    gone(&mut json);
    let snapshot = snapshot(json);
    assert!(Account::new(&snapshot).obstacle(&snapshot.secrets[0]).unwrap().contains(GONE));
}

#[test]
fn a_key_that_can_be_used_while_it_is_updated_is_no_finding() {
    let report = with(|json| json["Keys"][0]["KeyState"] = json!("Updating"));
    assert!(found(&report).is_empty(), "{report:#?}");
}

#[test]
fn a_condition_that_lets_direct_calls_in_is_none() {
    let with_condition = |condition: Value, action: Value| {
        let mut reader = statement(json!(HERE), None);
        reader["Action"] = action;
        reader["Condition"] = condition;
        key_with(&reader)
    };
    for condition in [
        json!({"StringEqualsIfExists": {"kms:ViaService": HERE}}),
        json!({"ForAllValues:StringEquals": {"kms:ViaService": [HERE]}}),
        json!({"StringLike": {"kms:ViaService": "*"}}),
        json!({"StringLike": {"kms:ViaService": "*.eu-central-1.amazonaws.com"}}),
        json!({"Null": {"kms:ViaService": "false"}}),
        json!({}),
    ] {
        let report = with_condition(condition.clone(), json!("kms:Decrypt"));
        let finding = of(&report, "key.via-service");
        // The command allows nothing that the statement did not.
        assert!(finding.run[0].contains(HERE), "{condition}");
        assert!(finding.run[0].contains(r#""Action":["kms:Decrypt"]"#), "{finding:?}");
    }
    for condition in [
        json!({"StringEquals": {"kms:ViaService": HERE}}),
        json!({"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}),
    ] {
        assert!(
            !found(&with_condition(condition.clone(), json!("kms:Decrypt"))).contains("key.via-service"),
            "{condition}"
        );
    }
}

/// The documents in the commands that confine the key to Secrets Manager.
fn confined(statements: &Value) -> Vec<Value> {
    let report = with(|json| {
        let all = json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap();
        all.extend(statements.as_array().unwrap().clone());
    });
    let findings = report.findings.iter().filter(|it| it.check == "key.via-service");
    findings.flat_map(|it| &it.run).flat_map(|run| documents(run)).collect()
}

#[test]
fn administration_stays_with_the_account_when_use_is_confined() {
    let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
    let all = |scope: &str, actions: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": root, "Resource": "*"});
        statement[scope] = actions;
        let confined = confined(&json!([statement]));
        assert_eq!(confined.len(), 1);
        Document::from_json(confined[0].clone()).unwrap()
    };
    let may = |document: &Document, action: &str| {
        let rest = document.statements.last().unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:root");
        let context = Context::open();
        let request = Request {
            caller: &caller,
            action,
            resource: "*",
            resource_account: "111122223333",
            context: &context,
        };
        let resource = Some(Named { name: "key", document });
        assert!(rest.conditions.is_empty());
        evaluate(&request, &Policies { resource, is_key_policy: true, ..Policies::default() }).outcome
    };
    let document = all("Action", json!("kms:*"));
    for action in [
        "ReplicateKey",
        "ImportKeyMaterial",
        "RotateKeyOnDemand",
        "SynchronizeMultiRegionKey",
        "PutKeyPolicy",
    ] {
        assert_eq!(may(&document, &format!("kms:{action}")), Outcome::Allowed, "{action}");
    }
    let document = all("NotAction", json!(["kms:ScheduleKeyDeletion"]));
    assert_eq!(may(&document, "kms:ReplicateKey"), Outcome::Allowed);
    assert_eq!(may(&document, "kms:Decrypt"), Outcome::Conditional);
    // The pattern covers both, so no command can separate them.
    assert!(
        confined(&json!([{"Effect": "Allow", "Principal": root, "Action": "kms:D*", "Resource": "*"}]))
            .is_empty()
    );
}

#[test]
fn a_service_that_the_key_also_serves_goes_on_using_it() {
    let logs = json!({"Effect": "Allow", "Principal": {"Service": "logs.eu-central-1.amazonaws.com"},
        "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:GenerateDataKey*"], "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-central-1:111122223333:*"}}});
    let report = key_with(&logs);
    assert!(found(&report).is_empty(), "{report:#?}");
    let direct =
        json!({"Effect": "Allow", "Principal": {"AWS": APP}, "Action": "kms:Decrypt", "Resource": "*"});
    let report = with(|json| {
        json["Keys"][0]["Policy"]["Statement"].as_array_mut().unwrap().extend([logs.clone(), direct.clone()]);
    });
    let finding = of(&report, "key.via-service");
    assert!(
        finding.run.is_empty() && finding.advice.as_ref().unwrap().contains("logs.eu-central-1"),
        "{finding:?}"
    );
}

#[test]
fn no_two_statements_of_a_fix_have_one_sid() {
    let decrypts = |principal: &str| json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:Decrypt", "Resource": "*"});
    let mut mixed = decrypts(APP);
    mixed["Action"] = json!(["kms:Decrypt", "kms:Encrypt"]);
    mixed["Sid"] = json!("ThroughSecretsManager2");
    let first = confined(&json!([decrypts(APP), decrypts(super::ROTATION), mixed]));
    assert_eq!(first.len(), 3);
    // `with` asserts this for the documents of every fix. Here, the result of one fix is fixed again.
    let report = with(|json| json["Keys"][0]["Policy"] = first[2].clone());
    assert_eq!(report.findings.iter().filter(|it| it.check == "key.via-service").count(), 2);
}

const BATCH: &str = "arn:aws:iam::111122223333:role/batch";

fn grant(id: &str, grantee: &str, operation: &str, condition: &Value) -> Value {
    json!({"Sid": id, "Effect": "Allow", "Principal": {"AWS": grantee}, "Action": [operation], "Resource": "*",
        "Condition": condition})
}

#[test]
fn whom_a_grant_names_decrypts_without_a_policy() {
    let context = |arn: &str| json!({"StringEquals": {"kms:EncryptionContext:SecretARN": arn}});
    let finds = |grant: Value| {
        let report = with(|json| json["Keys"][0]["Grants"]["Statement"] = json!([grant.clone()]));
        found(&report).contains("key.grant")
    };
    assert!(finds(grant("0a", BATCH, "kms:Decrypt", &json!({}))));
    assert!(finds(grant("0a", BATCH, "kms:Decrypt", &context(SECRET))));
    assert!(!finds(grant("0a", BATCH, "kms:Decrypt", &context("arn:aws:secretsmanager:other"))));
    let exactly = json!({"StringEquals": {"kms:EncryptionContext:SecretARN": SECRET},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["SecretARN"]}});
    // Secrets Manager's context also has the version id.
    assert!(!finds(grant("0a", BATCH, "kms:Decrypt", &exactly)));
    assert!(!finds(grant("0a", BATCH, "kms:Encrypt", &json!({}))));
    // The policy shows it already.
    assert!(!finds(grant("0a", APP, "kms:Decrypt", &json!({}))));
    let of_service = "arn:aws:iam::111122223333:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS";
    assert!(!finds(grant("0a", of_service, "kms:Decrypt", &json!({}))));
}

#[test]
fn who_reads_by_a_grant_is_a_reader() {
    let reads = |grants: Value, edit: fn(&mut Value)| {
        let mut json = good();
        json["Keys"][0]["Policy"]["Statement"][1]["Principal"]["AWS"] = json!(super::ROTATION);
        json["Keys"][0]["Grants"]["Statement"] = grants;
        edit(&mut json);
        let snapshot = snapshot(json);
        let account = Account::new(&snapshot);
        let access = account.read(&snapshot.secrets[0], &snapshot.principals[0]);
        (access.outcome(), access.key.unwrap().because.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let own = json!([grant("0a", APP, "kms:Decrypt", &json!({}))]);
    assert_eq!(reads(json!([]), |_| ()).0, Outcome::Denied);
    let (outcome, because) = reads(own.clone(), |_| ());
    assert_eq!(outcome, Outcome::Allowed);
    assert!(because.contains(&"grant of the key, statement 0a".to_owned()), "{because:?}");
    // A Deny overrides the grant.
    let denied: fn(&mut Value) = |json| {
        let statements = json["Principals"][0]["InlinePolicies"][0]["Document"]["Statement"].as_array_mut();
        statements.unwrap().push(json!({"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}));
    };
    assert_eq!(reads(own, denied).0, Outcome::Denied);
    assert_eq!(reads(json!([grant("0a", BATCH, "kms:Decrypt", &json!({}))]), |_| ()).0, Outcome::Denied);
}

#[test]
fn grants_that_nobody_read_are_said() {
    let report = with(|json| drop(json["Keys"][0].as_object_mut().unwrap().remove("Grants")));
    assert!(report.not_checked.iter().any(|it| it.check == "key.grant" && it.permission == "kms:ListGrants"));
    let report = with(|json| {
        json["NotCollected"] = json!([{"Permission": "kms:ListGrants", "Error": "AccessDenied",
            "Resource": json["Secrets"][0]["KmsKeyId"]}]);
    });
    assert!(report.not_checked.iter().any(|it| it.check == "key.grant"), "{report:#?}");
}

#[test]
fn a_new_key_lets_in_whoever_the_default_key_did() {
    let report = with(|json| drop(json["Secrets"][0].as_object_mut().unwrap().remove("KmsKeyId")));
    let run = of(&report, "key.default").run.join("\n");
    let start = run.find(r#"{"Version""#).unwrap();
    let text = run[start..].split_once('\'').unwrap().0;
    let document: Value = serde_json::from_str(text).unwrap();
    // With this policy on its key, readers and writers still have access.
    for place in [0, 1] {
        let allowed = |json: &mut Value| json["Keys"][0]["Policy"] = document.clone();
        assert_eq!(outcome(allowed, place), Outcome::Allowed);
    }
    let report = with(|json| json["Keys"][0]["Policy"] = document.clone());
    assert_eq!(found(&report), BTreeSet::new());
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
    // If not all secrets were audited, the ARN can be of an existing one.
    assert!(!found(&two(Some(old), true)).contains("key.context-mismatch"));
    let before = SECRET.replace("AbCdEf", "ZyXwVu");
    for is_partial in [false, true] {
        let report = two(Some(&before), is_partial);
        let all: Vec<_> = report.findings.iter().filter(|it| it.check == "key.context-mismatch").collect();
        assert!(all.len() == 1 && all[0].run[0].contains(SECRET), "{all:#?}");
        assert!(!all[0].run[0].contains(second) && !all[0].run[0].contains(&before), "{all:#?}");
    }
}
