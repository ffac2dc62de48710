//! Tests the evaluator with a table of cases. Each names the expected result and the page of AWS's documentation that
//! says so.

use std::collections::BTreeMap;

use secretcache_access::Document;
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{
    Caller, CallerKind, Decision, Link, Named, Outcome, Policies, Request, evaluate,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Table {
    pages: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    page: String,
    expect: String,
    #[serde(default = "role")]
    caller: String,
    #[serde(default = "read")]
    action: String,
    #[serde(default = "secret")]
    resource: String,
    #[serde(default)]
    context: BTreeMap<String, Value>,
    #[serde(default)]
    open: bool,
    /// Links that must be reported as missing.
    #[serde(default)]
    missing: Vec<String>,
    /// The statement that decides.
    by: Option<String>,
    policies: Given,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    identity: Vec<Document>,
    resource: Option<Document>,
    key: Option<Document>,
    boundary: Option<Document>,
    session: Option<Vec<Document>>,
    endpoint: Option<Document>,
    #[serde(default)]
    scp: Vec<Vec<Document>>,
    #[serde(default)]
    rcp: Vec<Vec<Document>>,
}

fn role() -> String {
    "arn:aws:iam::111122223333:role/app".to_owned()
}

fn read() -> String {
    "secretsmanager:GetSecretValue".to_owned()
}

fn secret() -> String {
    "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf".to_owned()
}

fn named(document: &Document) -> Named<'_> {
    Named { name: "policy", document }
}

fn all(documents: &[Document]) -> Vec<Named<'_>> {
    documents.iter().map(named).collect()
}

impl Given {
    fn policies(&self) -> Policies<'_> {
        Policies {
            identity: all(&self.identity),
            resource: self.resource.as_ref().or(self.key.as_ref()).map(named),
            is_key_policy: self.key.is_some(),
            grants: None,
            boundary: self.boundary.as_ref().map(named),
            session: self.session.as_deref().map(all),
            endpoint: self.endpoint.as_ref().map(named),
            unknown: Vec::new(),
            service_control: self.scp.iter().map(|level| all(level)).collect(),
            resource_control: self.rcp.iter().map(|level| all(level)).collect(),
        }
    }
}

#[test]
fn every_case_of_the_table_is_decided_as_documented() {
    let table: Table = serde_json::from_str(include_str!("cases.json")).unwrap();
    assert!(table.cases.len() >= 150, "{} cases", table.cases.len());
    let mut wrong = Vec::new();
    for case in &table.cases {
        let page = table.pages.get(&case.page).unwrap_or_else(|| panic!("{}: no page", case.case));
        let mut context = if case.open { Context::open() } else { Context::closed() };
        for (key, value) in &case.context {
            match value {
                Value::Array(all) => {
                    context.set_many(key, all.iter().map(|one| one.as_str().unwrap().to_owned()).collect());
                }
                one => context.set(key, one.as_str().unwrap()),
            }
        }
        let caller = Caller::from_arn(&case.caller);
        let request = Request {
            caller: &caller,
            action: &case.action,
            resource: &case.resource,
            resource_account: "111122223333",
            context: &context,
        };
        let policies = case.policies.policies();
        let decision = evaluate(&request, &policies);
        let missing: Vec<_> = decision.missing.iter().map(|link| format!("{link:?}")).collect();
        let by = decision.because.first().and_then(|cited| cited.statement.sid.clone());
        if format!("{:?}", decision.outcome) != case.expect
            || case.missing.iter().any(|link| !missing.contains(link))
            || case.by.is_some() && case.by != by
        {
            wrong.push(format!(
                "{}: {:?}, missing {missing:?}, by {by:?}; see {page}",
                case.case, decision.outcome
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.cases.len(), wrong.join("\n"));
}

/// Decides whether a caller can read a secret of its account.
fn decide<'a>(arn: &str, policies: &Policies<'a>) -> Decision<'a> {
    decide_in(&Context::closed(), arn, policies)
}

fn decide_in<'a>(context: &Context, arn: &str, policies: &Policies<'a>) -> Decision<'a> {
    let request = Request {
        caller: &Caller::from_arn(arn),
        action: "secretsmanager:GetSecretValue",
        resource: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf",
        resource_account: "111122223333",
        context,
    };
    evaluate(&request, policies)
}

/// "Resource-based policies that grant permissions to an IAM user ARN … are not limited by an implicit deny in a … permissions
/// boundary", while those for a role's ARN are:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>.
#[test]
fn a_boundary_limits_what_a_resource_policy_gives_a_role_but_not_a_user() {
    let boundary = Document::parse(
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#,
    )
    .unwrap();
    for (arn, named, expected) in [
        ("arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:role/app", Outcome::Denied),
        ("arn:aws:iam::111122223333:user/app", "arn:aws:iam::111122223333:user/app", Outcome::Allowed),
        ("arn:aws:iam::111122223333:role/app", "*", Outcome::Denied),
        ("arn:aws:iam::111122223333:user/app", "*", Outcome::Allowed),
    ] {
        let statement = serde_json::json!({"Effect": "Allow", "Principal": {"AWS": named},
            "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
        let resource =
            Document::from_json(serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}))
                .unwrap();
        let policies = Policies {
            boundary: Some(Named { name: "boundary", document: &boundary }),
            resource: Some(Named { name: "of the secret", document: &resource }),
            ..Policies::default()
        };
        let decision = decide(arn, &policies);
        assert_eq!(decision.outcome, expected, "{arn} by {named}");
        let missing: &[Link] = if expected == Outcome::Denied { &[Link::Boundary] } else { &[] };
        assert_eq!(decision.missing, missing, "{arn} by {named}");
    }
}

/// "Will always deny any IAM principal that has a permissions boundary policy attached":
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>.
#[test]
fn a_deny_with_not_principal_applies_to_a_role_with_an_unknown_boundary_only() {
    let role = "arn:aws:iam::111122223333:role/app";
    let identity = Document::from_json(serde_json::json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}}))
    .unwrap();
    let resource = Document::from_json(serde_json::json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Deny", "NotPrincipal": {"AWS": [role, "111122223333"]}, "Action": "*", "Resource": "*"}}))
    .unwrap();
    for (link, expected) in [(Link::Boundary, Outcome::Denied), (Link::ServiceControl, Outcome::Conditional)]
    {
        let policies = Policies {
            identity: vec![Named { name: "read", document: &identity }],
            resource: Some(Named { name: "of the secret", document: &resource }),
            unknown: vec![(link, "not in the snapshot")],
            ..Policies::default()
        };
        assert_eq!(decide(role, &policies).outcome, expected, "unknown {link}");
    }
}

#[test]
fn an_unknown_policy_does_not_hide_what_another_one_depends_on() {
    let role = "arn:aws:iam::111122223333:role/app";
    let resource = Document::from_json(serde_json::json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "secretsmanager:*", "Resource": "*",
         "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}}))
    .unwrap();
    let policies = Policies {
        resource: Some(Named { name: "of the secret", document: &resource }),
        unknown: vec![(Link::Identity, "not in the snapshot")],
        ..Policies::default()
    };
    let decision = decide_in(&Context::open(), role, &policies);
    assert_eq!(decision.outcome, Outcome::Conditional);
    assert_eq!(decision.depends_on.iter().map(|cited| cited.link).collect::<Vec<_>>(), [Link::Resource]);
}

#[test]
fn only_sts_has_sessions() {
    let kind = |arn: &str| Caller::from_arn(arn).kind;
    let role = "arn:aws:iam::111122223333:role/app".to_owned();
    assert_eq!(kind("arn:aws:sts::111122223333:assumed-role/app/one"), CallerKind::Session { role });
    assert_eq!(kind("arn:aws:iam::111122223333:assumed-role/app/one"), CallerKind::User);
}

#[test]
fn the_first_of_equal_statements_is_cited() {
    let allow = serde_json::json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"});
    let twice = serde_json::json!({"Version": "2012-10-17", "Statement": [allow, allow]});
    let document = Document::from_json(twice).unwrap();
    let policies =
        Policies { identity: vec![Named { name: "read", document: &document }], ..Policies::default() };
    let decision = decide("arn:aws:iam::111122223333:role/app", &policies);
    assert_eq!(decision.because.iter().map(|cited| cited.index).collect::<Vec<_>>(), [0]);
}
