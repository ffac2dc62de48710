//! `policy --check`: attached policies that allow what is needed, and more.

use secretcache_access::Document;
use secretcache_access::evaluate::{Caller, Named};
use secretcache_access::policy::{Kind, Scope, compare, compare_shared};
use serde_json::{Value, json};

use super::{APP, READ, ROTATION, SECRET};

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SECRETS: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:";
const APP2: &str = "arn:aws:iam::111122223333:role/app2";
const STRANGER: &str = "arn:aws:iam::999999999999:role/x";

/// The scope that a team passes to `policy`.
pub(super) fn scope() -> Scope {
    Scope {
        secrets: vec!["prod/checkout/db".into()],
        account: "111122223333".into(),
        region: "eu-central-1".into(),
        ..Scope::default()
    }
}

fn with(wanted: &Value, statement: Value) -> Value {
    let mut attached = wanted.clone();
    attached["Statement"].as_array_mut().unwrap().push(statement);
    attached
}

/// The differences for an application's role.
fn of_app(scope: &Scope, attached: impl Fn(&Value) -> Value) -> Vec<String> {
    let scope = Scope { keys: vec![KEY.into()], ..scope.clone() };
    let wanted = scope.policy(Kind::App, &["read", "refresh"]).unwrap();
    let attached = Document::from_json(attached(&wanted)).unwrap();
    let (wanted, named) =
        (Document::from_json(wanted).unwrap(), [Named { name: "own", document: &attached }]);
    let found = compare(&wanted, &named, None, &Caller::from_arn(APP));
    found.iter().map(ToString::to_string).collect()
}

fn allow(action: impl Into<Value>, resource: impl Into<Value>) -> Value {
    json!({"Effect": "Allow", "Action": action.into(), "Resource": resource.into()})
}

/// The differences for a shared policy that only app should use.
fn of_shared(kind: Kind, attached: impl Fn(&Value) -> Value) -> Vec<String> {
    let scope = Scope { readers: vec![APP.into()], ..scope() };
    let wanted = scope.policy(kind, &[]).unwrap();
    let attached = Document::from_json(attached(&wanted)).unwrap();
    let wanted = Document::from_json(wanted).unwrap();
    let to = match kind {
        Kind::Kms => KEY,
        Kind::Resource => SECRET,
        _ => "vpce-0",
    };
    let found = compare_shared(kind, &wanted, Some(&attached), &scope, to);
    found.iter().map(ToString::to_string).collect()
}

/// The wanted policy with another value at a JSON pointer.
fn changed(wanted: &Value, place: &str, value: impl Into<Value>) -> Value {
    let mut attached = wanted.clone();
    *attached.pointer_mut(place).unwrap() = value.into();
    attached
}

#[track_caller]
fn one_line(found: &[String], begins: &str) {
    assert!(found.len() == 1 && found[0].starts_with(begins), "{begins} is not {found:#?}");
}

#[test]
fn a_role_that_has_other_secrets_or_keys_too_has_too_much() {
    for (action, resource) in [
        ("secretsmanager:*", format!("{SECRETS}prod/other/*")),
        (READ, format!("{SECRETS}prod/*")),
        (READ, format!("{SECRETS}prod/checkout/dc-AbCdEf")),
        (READ, format!("{SECRETS}prod/checkout/db-*")),
        (READ, format!("{SECRETS}prod/checkout/d?-??????")),
        (READ, format!("{SECRETS}*/db-??????")),
        (READ, SECRET.replace("eu-central-1", "us-east-1")),
        (READ, SECRET.replace("eu-central-1", "*")),
        (READ, SECRET.replace("111122223333", "*")),
        (READ, "arn:aws:secretsmanager:*:secret:prod/checkout/*".into()),
        (READ, "*checkout*".into()),
        (READ, "arn:*:payroll-*".into()),
        ("kms:Decrypt", KEY.replace("1234abcd", "5678abcd")),
        ("kms:Decrypt", KEY.replace("1234abcd", "*")),
        ("kms:Sign", KEY.into()),
    ] {
        let found = of_app(&scope(), |wanted| with(wanted, allow(action, resource.clone())));
        let line = format!(" on {resource} (identity policy own, statement 4)");
        assert!(found.iter().any(|it| it.contains(&line)), "{resource}: {found:#?}");
        assert!(found.iter().all(|it| it.starts_with("too wide: ")), "{resource}: {found:#?}");
    }
}

#[test]
fn a_condition_of_another_place_hides_no_right() {
    for condition in [
        json!({"StringEquals": {"aws:RequestedRegion": "ap-southeast-2"}}),
        json!({"StringEquals": {"aws:ResourceAccount": "444455556666"}}),
    ] {
        let mut more = allow(READ, "*");
        more["Condition"] = condition;
        let found = of_app(&scope(), |wanted| with(wanted, more.clone()));
        one_line(&found, "too wide: secretsmanager:GetSecretValue on any other secret");
    }
}

#[test]
fn a_key_that_is_open_for_more_than_these_secrets_is_too_open() {
    let conditions = |change: fn(&mut Value)| {
        of_app(&scope(), |wanted| {
            let mut attached = wanted.clone();
            let all = attached["Statement"].as_array_mut().unwrap();
            change(&mut all.iter_mut().find(|it| it["Action"] == "kms:Decrypt").unwrap()["Condition"]);
            attached
        })
    };
    let line = format!("too wide: conditions are missing or too weak: kms:Decrypt on {KEY}");
    for change in [
        (|it| drop(it.as_object_mut().unwrap().remove("StringLike"))) as fn(&mut Value),
        |it| drop(it.as_object_mut().unwrap().remove("StringEquals")),
        |it| it["StringLike"]["kms:EncryptionContext:SecretARN"] = format!("{SECRETS}prod/*").into(),
        |it| it["StringLike"]["kms:EncryptionContext:SecretARN"] = "*".into(),
        |it| {
            it["StringEquals"] = json!({"kms:ViaService":
            ["secretsmanager.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"]})
        },
    ] {
        one_line(&conditions(change), &line);
    }
}

#[test]
fn what_does_not_reach_more_is_no_difference() {
    let mut here = allow(READ, SECRET.replace("eu-central-1", "*"));
    here["Condition"] = json!({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}});
    assert_eq!(of_app(&scope(), |wanted| with(wanted, here.clone())), [""; 0]);
    assert_eq!(of_app(&scope(), Value::clone), [""; 0]);
    let found = |statement: Value| of_app(&scope(), |wanted| with(wanted, statement.clone()));
    for statement in [
        allow("s3:*", "*"),
        allow("dynamodb:GetItem", "arn:aws:dynamodb:eu-central-1:111122223333:table/t"),
        allow("iam:PassRole", APP2),
        allow(READ, SECRET),
        allow("kms:Decrypt", "arn:aws:kms:eu-central-1:111122223333:alias/payroll"),
        allow("logs:PutLogEvents", format!("{SECRETS}prod/other")),
    ] {
        assert_eq!(found(statement), [""; 0]);
    }
}

/// A name followed by six `?` is equivalent to the ARN of a secret with that name.
#[test]
fn a_secret_by_its_name_and_by_its_arn_is_the_same() {
    let arn = |suffix: &str| format!("{SECRETS}prod/checkout/db-{suffix}");
    let by_arn = |suffix: &str| Scope { secrets: vec![arn(suffix)], ..scope() };
    let text = |wanted: &Value, from: &str, to: &str| {
        serde_json::from_str::<Value>(&wanted.to_string().replace(from, to)).unwrap()
    };
    assert_eq!(of_app(&scope(), |wanted| text(wanted, "??????", "Xy12Za")), [""; 0]);
    assert_eq!(of_app(&by_arn("Xy12Za"), |wanted| text(wanted, "Xy12Za", "??????")), [""; 0]);
    let other = of_app(&by_arn("Xy12Za"), |wanted| text(wanted, "Xy12Za", "Zz99Zz"));
    assert!(other.iter().any(|line| line.starts_with("missing: ")), "{other:#?}");
    assert!(other.iter().any(|line| line.starts_with("too wide: ")), "{other:#?}");
}

#[test]
fn whoever_a_secrets_policy_exempts_beside_the_readers_reads() {
    let exempted = "/Statement/0/Condition/StringNotEquals/aws:PrincipalArn";
    assert_eq!(of_shared(Kind::Resource, Value::clone), [""; 0]);
    let read = |who: &str| format!("too wide: {READ} on the secret by {who}");
    let found = of_shared(Kind::Resource, |wanted| changed(wanted, exempted, json!([APP, ROTATION])));
    assert_eq!(found, [read(ROTATION)]);
    let found = of_shared(Kind::Resource, |wanted| {
        let more =
            json!({"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": READ, "Resource": "*"});
        with(&changed(wanted, exempted, json!([APP, STRANGER])), more)
    });
    one_line(&found, &read(STRANGER));
    let root = "arn:aws:iam::111122223333:root";
    let found = of_shared(Kind::Resource, |wanted| changed(wanted, exempted, json!([APP, root])));
    assert_eq!(found, [read(root)]);
    let patterns = "arn:aws:iam::111122223333:role/app*";
    let found = of_shared(Kind::Resource, |wanted| {
        let mut attached = changed(wanted, "/Statement/0/Condition", json!({}));
        attached["Statement"][0]["Condition"]["ArnNotLike"] = json!({"aws:PrincipalArn": patterns});
        attached
    });
    assert_eq!(found, [read(patterns)]);
}

/// A secret's policy can name the secret instead of `*`.
#[test]
fn a_secrets_policy_that_names_the_secret_is_the_same() {
    assert_eq!(of_shared(Kind::Resource, |wanted| changed(wanted, "/Statement/0/Resource", SECRET)), [""; 0]);
}

#[test]
fn a_second_endpoint_is_one_too_many() {
    let scope = Scope { readers: vec![APP.into()], endpoints: vec!["vpce-0a".into()], ..scope() };
    let wanted = scope.policy(Kind::Resource, &[]).unwrap();
    let place = "/Statement/1/Condition/StringNotEquals/aws:SourceVpce";
    let attached = Document::from_json(changed(&wanted, place, json!(["vpce-0a", "vpce-0b"]))).unwrap();
    let wanted = Document::from_json(wanted).unwrap();
    let found = compare_shared(Kind::Resource, &wanted, Some(&attached), &scope, SECRET);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    one_line(
        &found,
        "too wide: conditions are missing or too weak: secretsmanager:GetSecretValue on the secret by",
    );
}

#[test]
fn whoever_else_a_keys_policy_names_uses_the_key() {
    assert_eq!(of_shared(Kind::Kms, Value::clone), [""; 0]);
    let found = |principal: Value, keep: bool| {
        of_shared(Kind::Kms, |wanted| {
            let mut more = wanted["Statement"][1].clone();
            more["Principal"] = principal.clone();
            if !keep {
                more.as_object_mut().unwrap().remove("Condition");
            }
            with(wanted, more)
        })
    };
    let line = |who: &str| format!("too wide: kms:Decrypt on the key by {who} (key policy attached");
    one_line(&found(json!({"AWS": APP2}), true), &line(APP2));
    one_line(&found(json!({"AWS": STRANGER}), true), &line(STRANGER));
    one_line(&found(json!({"Service": "logs.amazonaws.com"}), false), &line("logs.amazonaws.com"));
    one_line(&found(json!({"AWS": "444455556666"}), true), &line("any principal of 444455556666"));
    for account in [json!("*"), json!("arn:aws:iam::111122223333:root")] {
        let found = found(json!({"AWS": account}), true);
        assert!(found.iter().any(|found| found.starts_with(&line("any other principal"))), "{found:#?}");
    }
}

#[test]
fn a_keys_policy_without_one_of_its_conditions_is_too_wide() {
    let line = format!("too wide: conditions are missing or too weak: kms:Decrypt on the key by {APP} (");
    for operator in ["StringLike", "StringEquals"] {
        let found = of_shared(Kind::Kms, |wanted| {
            let mut attached = wanted.clone();
            attached["Statement"][1]["Condition"].as_object_mut().unwrap().remove(operator);
            attached
        });
        one_line(&found, &line);
    }
}

#[test]
fn whatever_else_an_endpoints_policy_lets_through_is_too_much() {
    assert_eq!(of_shared(Kind::Endpoint, Value::clone), [""; 0]);
    let readers = "/Statement/0/Condition/ArnEquals/aws:PrincipalArn";
    for (who, name) in [(APP2, APP2), (STRANGER, STRANGER)] {
        let found = of_shared(Kind::Endpoint, |wanted| changed(wanted, readers, json!([APP, who])));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with("too wide: ") && found[0].contains(&format!(" by {name} (")),
            "{found:#?}"
        );
    }
    let payroll = format!("{SECRETS}prod/payroll-??????");
    let found = of_shared(Kind::Endpoint, |wanted| {
        let own = wanted["Statement"][0]["Resource"].clone();
        changed(wanted, "/Statement/0/Resource", json!([own, payroll]))
    });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("too wide: ") && found[0].contains(&format!(" on {payroll} by {APP}")),
        "{found:#?}"
    );
}
