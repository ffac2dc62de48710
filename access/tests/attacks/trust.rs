//! Principals that can assume a role that reads.

use secretcache_access::audit::Severity;
use secretcache_access::reach::Account;
use serde_json::{Value, json};

use super::{APP, SECRET, found, good, of, policy, snapshot, with};

const GITHUB: &str = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
const EKS: &str = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A1";
const SAML: &str = "arn:aws:iam::111122223333:saml-provider/people";
const ELSEWHERE: &str = "arn:aws:iam::444455556666:root";

fn trust(principal: &Value, action: &str, condition: &Value) -> Value {
    json!({"Effect": "Allow", "Action": action, "Principal": principal, "Condition": condition})
}

/// Which of the two checks reports this trust policy.
fn opens(statements: &Value) -> &'static str {
    let report = with(|json| json["Principals"][0]["TrustPolicy"] = policy(statements.clone()));
    let found = found(&report);
    match (found.contains("access.trust-public"), found.contains("access.trust-shared")) {
        (true, false) => "public",
        (false, true) => "shared",
        (false, false) => "closed",
        (true, true) => "both",
    }
}

#[test]
fn a_trust_policy_opens_a_role_to_those_whom_it_does_not_know() {
    let all = json!({"AWS": "*"});
    let other = json!({"AWS": ELSEWHERE});
    for (principal, condition, expected) in [
        (json!("*"), json!({}), "public"),
        (all.clone(), json!({}), "public"),
        // An external id is not a secret.
        (all.clone(), json!({"StringEquals": {"sts:ExternalId": "42"}}), "public"),
        (all.clone(), json!({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/app"}}), "public"),
        (all.clone(), json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}), "public"),
        (all.clone(), json!({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}), "closed"),
        (
            all.clone(),
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/x"}}),
            "closed",
        ),
        (all.clone(), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), "shared"),
        (all.clone(), json!({"StringEquals": {"aws:PrincipalAccount": "444455556666"}}), "shared"),
        (all.clone(), json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:*"}}), "shared"),
        (all.clone(), json!({"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}), "closed"),
        (all, json!({"DateGreaterThan": {"aws:CurrentTime": "2027-02-01T00:00:00Z"}}), "public"),
        (json!("*"), json!({"Null": {"aws:PrincipalOrgID": "false"}}), "public"),
        (other.clone(), json!({}), "shared"),
        (json!({"AWS": "444455556666"}), json!({}), "shared"),
        (json!({"AWS": [APP, ELSEWHERE]}), json!({}), "shared"),
        (other.clone(), json!({"StringEquals": {"sts:ExternalId": "42"}}), "closed"),
        (other.clone(), json!({"StringLike": {"sts:ExternalId": "customer-*"}}), "closed"),
        (other.clone(), json!({"StringLike": {"sts:ExternalId": "*"}}), "shared"),
        (other.clone(), json!({"StringNotEquals": {"sts:ExternalId": "42"}}), "shared"),
        (other.clone(), json!({"StringEqualsIfExists": {"sts:ExternalId": "42"}}), "shared"),
        (other.clone(), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}), "closed"),
        (
            other.clone(),
            json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/x"}}),
            "closed",
        ),
        (other, json!({"StringEquals": {"aws:PrincipalTag/team": "checkout"}}), "closed"),
        (json!({"AWS": "arn:aws:iam::444455556666:role/x"}), json!({}), "closed"),
        (json!({"AWS": "arn:aws:iam::111122223333:root"}), json!({}), "closed"),
        (json!({"AWS": "111122223333"}), json!({}), "closed"),
        (json!({"Service": "lambda.amazonaws.com"}), json!({}), "closed"),
    ] {
        let statements = json!([trust(&principal, "sts:AssumeRole", &condition)]);
        assert_eq!(opens(&statements), expected, "{principal} {condition}");
        // A Deny closes it.
        let mut deny = trust(&json!("*"), "sts:*", &json!({}));
        deny["Effect"] = json!("Deny");
        assert_eq!(opens(&json!([statements[0], deny])), "closed", "{principal} {condition}");
    }
}

#[test]
fn a_token_of_anybody_opens_a_role() {
    let of = |provider: &str, operator: &str, claims: &Value| {
        let issuer = provider.split_once(":oidc-provider/").map_or(provider, |(_, issuer)| issuer);
        let mut condition = json!({});
        for (claim, value) in claims.as_object().unwrap() {
            condition[operator][format!("{issuer}:{claim}")] = value.clone();
        }
        let principal = json!({"Federated": provider});
        opens(&json!([trust(&principal, "sts:AssumeRoleWithWebIdentity", &condition)]))
    };
    let aud = "sts.amazonaws.com";
    for (provider, operator, claims, expected) in [
        (GITHUB, "StringEquals", json!({}), "public"),
        (GITHUB, "StringEquals", json!({"aud": aud}), "public"),
        (GITHUB, "StringEquals", json!({"aud": "https://github.com/us"}), "public"),
        (GITHUB, "StringEquals", json!({"sub": "repo:us/shop:ref:refs/heads/main"}), "closed"),
        (GITHUB, "StringLike", json!({"sub": "repo:us/*", "aud": aud}), "closed"),
        (GITHUB, "StringLike", json!({"sub": ["repo:us/*", "repo:*"]}), "public"),
        (GITHUB, "StringLike", json!({"sub": "*"}), "public"),
        (GITHUB, "StringLike", json!({"sub": "repo:us*"}), "public"),
        (GITHUB, "StringLike", json!({"sub": "repo:*/deploy:*"}), "public"),
        (GITHUB, "StringLike", json!({"sub": "*:ref:refs/heads/main"}), "public"),
        (GITHUB, "StringNotEquals", json!({"sub": "repo:us/shop:pull_request"}), "public"),
        (GITHUB, "StringEqualsIfExists", json!({"sub": "repo:us/shop:ref:refs/heads/main"}), "closed"),
        (GITHUB, "ForAllValues:StringLike", json!({"sub": "repo:us/*"}), "closed"),
        (GITHUB, "StringEquals", json!({"repository_owner_id": "42"}), "closed"),
        (EKS, "StringEquals", json!({"aud": aud}), "shared"),
        (EKS, "StringEquals", json!({"sub": "system:serviceaccount:shop:checkout"}), "closed"),
        (EKS, "StringLike", json!({"sub": "system:serviceaccount:shop:*"}), "closed"),
        (EKS, "StringLike", json!({"sub": "system:serviceaccount:*:checkout"}), "shared"),
        ("cognito-identity.amazonaws.com", "StringEquals", json!({}), "public"),
        (
            "cognito-identity.amazonaws.com",
            "ForAnyValue:StringLike",
            json!({"amr": "authenticated"}),
            "public",
        ),
        ("cognito-identity.amazonaws.com", "StringEquals", json!({"aud": "eu-central-1:pool"}), "closed"),
        ("accounts.google.com", "StringEquals", json!({"aud": "app.apps.googleusercontent.com"}), "closed"),
        ("www.amazon.com", "StringEquals", json!({"app_id": "amzn1.application"}), "closed"),
        ("accounts.google.com", "StringEquals", json!({"oaud": "app.example.org"}), "public"),
        (
            "cognito-identity.amazonaws.com",
            "StringLike",
            json!({"aud": "eu-central-1:pool", "amr": "unauthenticated"}),
            "public",
        ),
        (
            "cognito-identity.amazonaws.com",
            "StringLike",
            json!({"aud": "eu-central-1:pool", "amr": "authenticated"}),
            "closed",
        ),
    ] {
        assert_eq!(of(provider, operator, &claims), expected, "{provider} {operator} {claims}");
    }
    // A SAML provider decides itself whom its assertions are for.
    let saml = trust(&json!({"Federated": SAML}), "sts:AssumeRoleWithSAML", &json!({}));
    assert_eq!(opens(&json!([saml])), "closed");
}

#[test]
fn what_is_found_says_how_and_how_to_close_it() {
    let of_trust = |statement: Value, check: &str| {
        let report = with(|json| json["Principals"][0]["TrustPolicy"] = policy(json!([statement.clone()])));
        of(&report, check).clone()
    };
    let all = of_trust(trust(&json!({"AWS": "*"}), "sts:AssumeRole", &json!({})), "access.trust-public");
    assert_eq!(all.severity, Severity::Critical);
    assert_eq!(all.resource, APP);
    assert!(all.run[0].starts_with("aws iam update-assume-role-policy --role-name app --policy-document "));
    assert!(all.run[0].contains(r#""aws:PrincipalAccount":"111122223333""#), "{all:?}");
    let other =
        of_trust(trust(&json!({"AWS": ELSEWHERE}), "sts:AssumeRole", &json!({})), "access.trust-shared");
    assert!(other.run.is_empty() && other.advice.as_ref().unwrap().contains("sts:ExternalId"), "{other:?}");
    let token = of_trust(
        trust(&json!({"Federated": GITHUB}), "sts:AssumeRoleWithWebIdentity", &json!({})),
        "access.trust-public",
    );
    assert!(token.seen.contains("token.actions.githubusercontent.com:sub"), "{token:?}");
    // A role that reads no secret does not matter.
    let report = with(|json| {
        json["Principals"][0]["TrustPolicy"] =
            policy(json!([trust(&json!({"AWS": "*"}), "sts:AssumeRole", &json!({}))]));
        json["Principals"][0]["InlinePolicies"] = json!([]);
    });
    assert!(!found(&report).contains("access.trust-public"));
}

#[test]
fn a_trust_policy_that_is_not_known_is_said() {
    let report = with(|json| drop(json["Principals"][0].as_object_mut().unwrap().remove("TrustPolicy")));
    let note = report.not_checked.iter().find(|it| it.check == "access.trust-public").unwrap();
    assert_eq!(note.reason, "the trust policies of role/app were not collected");
}

/// What `secretcache access` says about a reader.
fn assumers(statements: &Value, edit: impl Fn(&mut Value)) -> Vec<String> {
    let mut json = good();
    json["Principals"][0]["TrustPolicy"] = policy(statements.clone());
    edit(&mut json);
    let snapshot = snapshot(json);
    let account = Account::new(&snapshot);
    account.assumers(&snapshot.principals[0]).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn who_may_become_a_reader_is_named() {
    let one = |principal: Value, action: &str, condition: Value| {
        let all = assumers(&json!([trust(&principal, action, &condition)]), |_| ());
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    };
    let assume = "sts:AssumeRole";
    assert_eq!(one(json!("*"), assume, json!({})), "any principal in any account");
    assert_eq!(one(json!({"Service": "ec2.amazonaws.com"}), assume, json!({})), "ec2.amazonaws.com");
    assert_eq!(
        one(json!({"AWS": ELSEWHERE}), assume, json!({"StringEquals": {"sts:ExternalId": "42"}})),
        "any principal that account 444455556666 allows if StringEquals sts:ExternalId 42"
    );
    assert_eq!(
        one(json!({"Federated": EKS}), "sts:AssumeRoleWithWebIdentity", json!({})),
        "any holder of a token from oidc.eks.eu-central-1.amazonaws.com/id/A1"
    );
    assert!(
        one(json!({"Federated": SAML}), "sts:AssumeRoleWithSAML", json!({})).contains("saml-provider/people")
    );
    // A statement only for tagging sessions, or an expired one, lets nobody in.
    assert!(assumers(&json!([trust(&json!("*"), "sts:TagSession", &json!({}))]), |_| ()).is_empty());
    let over = json!({"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}});
    assert!(assumers(&json!([trust(&json!("*"), assume, &over)]), |_| ()).is_empty());
}

/// Trusting the account's root delegates to the account's policies. Principals with such a policy are named.
#[test]
fn where_the_account_is_trusted_its_policies_show_who() {
    let root =
        json!([trust(&json!({"AWS": "arn:aws:iam::111122223333:root"}), "sts:AssumeRole", &json!({}))]);
    let all = assumers(&root, |_| ());
    assert!(all[0].ends_with("whose policies allow it: arn:aws:iam::111122223333:user/admin"), "{all:?}");
    let assume = |resource: &str| {
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resource});
        assumers(&root, |json| {
            json["Principals"][2]["AttachedPolicies"] = json!([]);
            json["Principals"][1]["InlinePolicies"][0]["Document"] = policy(json!([statement.clone()]));
        })
    };
    assert!(assume(APP)[0].ends_with(": arn:aws:iam::111122223333:role/rotation"));
    assert!(assume("*")[0].ends_with(": arn:aws:iam::111122223333:role/rotation"));
    assert!(assume(SECRET)[0].ends_with(": none now"));
    let by_deny = assumers(&root, |json| {
        json["ServiceControlPolicies"][1]["Policies"][0]["Document"]["Statement"]
            .as_array_mut()
            .unwrap()
            .push(json!({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}));
    });
    assert!(by_deny[0].ends_with(": none now"), "{by_deny:?}");
}
