//! What policies that are attached allow beyond what is needed, and what they lack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::condition::Context;
use crate::document::{Document, Scope};
use crate::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};
use crate::policy::{Kind, Scope as Wanted};
use crate::service;

/// Something that attached policies allow and the wanted one does not, or the other way round.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Difference {
    /// Whether the attached policies allow more than needed; otherwise they allow less.
    pub is_wider: bool,
    /// Whether it is allowed on conditions only, or should be allowed only on conditions.
    pub is_about_conditions: bool,
    /// Actions.
    pub actions: Vec<&'static str>,
    /// On what: an ARN pattern of the wanted policy, or `any other secret`, `any other key`.
    pub resource: String,
    /// By whom: of a key's, a secret's or an endpoint's policy only.
    pub principal: Option<String>,
    /// The statement that allows it; none where it is missing.
    pub because: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.is_wider, self.is_about_conditions) {
            (true, false) => "too wide",
            (true, true) => "too wide: conditions are missing",
            (false, false) => "missing",
            (false, true) => "missing: allowed on conditions only",
        };
        write!(f, "{what}: {} on {}", self.actions.join(", "), self.resource)?;
        if let Some(principal) = &self.principal {
            write!(f, " by {principal}")?;
        }
        match &self.because {
            Some(because) => write!(f, " ({because})"),
            None => Ok(()),
        }
    }
}

/// What can be done with secrets and their keys: `secretsmanager` as of its current service model; of `kms`, what reaches
/// values.
const ACTIONS: &[&str] = &[
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:CancelRotateSecret",
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:DeleteSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetRandomPassword",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:GetSecretValue",
    "secretsmanager:ListSecrets",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RemoveRegionsFromReplication",
    "secretsmanager:ReplicateSecretToRegions",
    "secretsmanager:RestoreSecret",
    "secretsmanager:RotateSecret",
    "secretsmanager:StopReplicationToReplica",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:UpdateSecret",
    "secretsmanager:UpdateSecretVersionStage",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ScheduleKeyDeletion",
];

/// Of these, what no resource can be named for.
const WITHOUT_RESOURCE: &[&str] =
    &["secretsmanager:BatchGetSecretValue", "secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"];

/// Compares what is needed with what is attached to a principal.
///
/// Each action is tried on one example of every resource that the wanted policy names, and on a secret and a key that it
/// does not.
pub fn compare(wanted: &Document, attached: &[Named<'_>], caller: &Caller) -> Vec<Difference> {
    let name = [Named { name: "wanted", document: wanted }];
    let mut found = Found::default();
    for (label, example) in examples(wanted, &caller.account) {
        for context in contexts(wanted, &example, caller) {
            let decide = |action: &str, identity: &[Named<'_>]| {
                let policies = Policies { identity: identity.to_vec(), ..Policies::default() };
                decided(caller, action, &example, &caller.account, &context, &policies)
            };
            for action in actions_on(&example) {
                found.add(action, &label, None, decide(action, &name), decide(action, attached));
            }
        }
    }
    found.differences()
}

/// Compares the policy of a key, a secret or an endpoint with the one that is attached there.
///
/// Each action is tried by every principal of the scope, by another of the account and by one of another account, all of
/// whom are taken to hold every permission of their own.
pub fn compare_shared(
    kind: Kind,
    wanted: &Document,
    attached: Option<&Document>,
    scope: &Wanted,
) -> Vec<Difference> {
    const ALL: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let Ok(all) = Document::parse(ALL) else { return Vec::new() };
    let named: Vec<_> = scope.readers.iter().chain(&scope.rotators).chain(&scope.administrators).collect();
    let owner = named.iter().find_map(|arn| arn.split(':').nth(4)).unwrap_or_default();
    let owner = if scope.account.is_empty() { owner } else { &scope.account };
    let mut callers: Vec<_> = named.into_iter().map(|arn| (arn.clone(), Caller::from_arn(arn))).collect();
    let other = |account: &str| Caller::from_arn(&format!("arn:aws:iam::{account}:role/another/one"));
    callers.push(("any other principal".into(), other(owner)));
    callers.push(("principals of other accounts".into(), other("999999999999")));
    let of_arns = || scope.secrets.iter().find_map(|secret| secret.split(':').nth(3)).unwrap_or_default();
    let region = if scope.region.is_empty() { of_arns() } else { &scope.region };
    let examples = match kind {
        // Such policies say `*` and mean what they are attached to.
        Kind::Kms => vec![("the key".to_owned(), format!("arn:aws:kms:{region}:{owner}:key/{NO_KEY}"))],
        Kind::Endpoint => examples(wanted, owner),
        _ => vec![(
            "the secret".to_owned(),
            format!("arn:aws:secretsmanager:{region}:{owner}:secret:example-AbCdEf"),
        )],
    };
    let mut found = Found::default();
    for (label, example) in &examples {
        for (who, caller) in &callers {
            for context in contexts(wanted, example, caller) {
                let decide = |action: &str, document: Option<&Document>| {
                    let policy = document.map(|document| Named { name: "attached", document });
                    let mut policies = Policies {
                        identity: vec![Named { name: "of the caller", document: &all }],
                        is_key_policy: kind == Kind::Kms,
                        ..Policies::default()
                    };
                    match kind {
                        Kind::Endpoint => policies.endpoint = policy,
                        _ => policies.resource = policy,
                    }
                    let account = if kind == Kind::Endpoint { &caller.account } else { owner };
                    decided(caller, action, example, account, &context, &policies)
                };
                // What names no resource is not a matter of a secret's policy.
                let is_its = |action: &&str| kind != Kind::Resource || !WITHOUT_RESOURCE.contains(action);
                for action in actions_on(example).filter(is_its) {
                    found.add(
                        action,
                        label,
                        Some(who),
                        decide(action, Some(wanted)),
                        decide(action, attached),
                    );
                }
            }
        }
    }
    found.differences()
}

/// How a request ends, and by which statement.
fn decided(
    caller: &Caller,
    action: &str,
    resource: &str,
    resource_account: &str,
    context: &Context,
    policies: &Policies<'_>,
) -> (Outcome, Option<String>) {
    let decision = evaluate(&Request { caller, action, resource, resource_account, context }, policies);
    // What only the caller's own policies allow is let through by the lack of a statement here.
    let cited = decision.because.iter().chain(&decision.depends_on);
    let because = cited.filter(|cited| cited.policy != "of the caller").map(ToString::to_string).next();
    (decision.outcome, because)
}

fn actions_on(resource: &str) -> impl Iterator<Item = &'static str> {
    let service = format!("{}:", resource.split(':').nth(2).unwrap_or_default());
    ACTIONS.iter().copied().filter(move |action| action.starts_with(&service))
}

/// A request of which nothing is known but what every request has, and one as Secrets Manager makes it for a secret of the wanted policy.
fn contexts(wanted: &Document, resource: &str, caller: &Caller) -> [Context; 2] {
    let unknown = service::context(caller, resource, &caller.account);
    let mut usual = unknown.clone();
    let region = resource.split(':').nth(3).unwrap_or_default();
    let conditions = wanted.statements.iter().flat_map(|statement| &statement.conditions);
    let mut arns = conditions.filter(|it| it.key.eq_ignore_ascii_case("kms:EncryptionContext:SecretARN"));
    let arn = arns.next().and_then(|condition| condition.values.first()).map(|arn| example_of(arn));
    service::use_key(&mut usual, caller, region, arn.as_deref());
    [unknown, usual]
}

/// Differences so far, each with its actions.
#[derive(Default)]
struct Found(BTreeMap<Kept, BTreeSet<&'static str>>);

/// Everything of a difference but the actions: the flags, the principal, the resource, the statement.
type Kept = (bool, bool, Option<String>, String, Option<String>);

impl Found {
    fn add(
        &mut self,
        action: &'static str,
        resource: &str,
        principal: Option<&String>,
        (needed, _): (Outcome, Option<String>),
        (given, because): (Outcome, Option<String>),
    ) {
        if needed == given {
            return;
        }
        let is_about_conditions = needed != Outcome::Denied && given != Outcome::Denied;
        let because = because.filter(|_| given > needed);
        let key = (given > needed, is_about_conditions, principal.cloned(), resource.to_owned(), because);
        self.0.entry(key).or_default().insert(action);
    }

    fn differences(self) -> Vec<Difference> {
        let difference =
            |((is_wider, is_about_conditions, principal, resource, because), actions)| Difference {
                is_wider,
                is_about_conditions,
                actions: BTreeSet::into_iter(actions).collect(),
                resource,
                principal,
                because,
            };
        self.0.into_iter().map(difference).collect()
    }
}

/// The id of a key that nobody has.
const NO_KEY: &str = "00000000-0000-0000-0000-000000000000";

/// An ARN that a pattern matches.
fn example_of(pattern: &str) -> String {
    pattern.replace("??????", "AbCdEf").replace('*', "example-AbCdEf")
}

/// Each resource of the policy with one ARN that it matches; then a secret and a key that it does not name.
fn examples(wanted: &Document, account: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let mut region = "us-east-1".to_owned();
    for statement in &wanted.statements {
        let Some(Scope::Only(resources)) = &statement.resource else { continue };
        for resource in resources.iter().filter(|resource| resource.starts_with("arn:")) {
            let example = example_of(resource);
            if let Some(here) = resource.split(':').nth(3).filter(|here| !here.is_empty()) {
                here.clone_into(&mut region);
            }
            if !examples.iter().any(|(known, _)| known == resource) {
                examples.push((resource.clone(), example));
            }
        }
    }
    let other = |service: &str, name: &str| format!("arn:aws:{service}:{region}:{account}:{name}");
    examples.push(("any other secret".into(), other("secretsmanager", "secret:another/one-AbCdEf")));
    examples.push(("any other key".into(), other("kms", &format!("key/{NO_KEY}"))));
    examples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Document {
        let scope = Wanted {
            secrets: vec!["prod/checkout/*".into()],
            keys: vec!["arn:aws:kms:eu-central-1:111122223333:key/k".into()],
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            ..Wanted::default()
        };
        Document::from_json(scope.policy(Kind::App, &["read", "refresh"]).unwrap()).unwrap()
    }

    fn differences(attached: &str) -> Vec<String> {
        let attached = Document::parse(attached).unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:role/app");
        let named = [Named { name: "app", document: &attached }];
        compare(&wanted(), &named, &caller).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_policy_has_no_difference() {
        assert_eq!(differences(&wanted().to_text()), Vec::<String>::new());
    }

    #[test]
    fn a_star_is_too_wide_and_says_by_which_statement() {
        let star = r#"{"Version":"2012-10-17","Statement":[{"Sid":"All","Effect":"Allow",
            "Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"*"}]}"#;
        let found = differences(star);
        let other = "too wide: secretsmanager:DescribeSecret, secretsmanager:GetSecretValue on any other secret \
                     (identity policy app, statement All)";
        assert!(found.iter().any(|line| line == other), "{found:#?}");
        assert!(
            found.iter().any(|line| line.starts_with("missing: kms:Decrypt on arn:aws:kms:")),
            "{found:#?}"
        );
    }

    #[test]
    fn a_key_without_conditions_is_told_from_one_that_is_missing() {
        let mut open = wanted().json;
        let statements = open["Statement"].as_array_mut().unwrap();
        let decrypt = statements.iter_mut().find(|it| it["Action"] == "kms:Decrypt").unwrap();
        decrypt.as_object_mut().unwrap().remove("Condition");
        let found = differences(&open.to_string());
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with("too wide: conditions are missing: kms:Decrypt on arn:aws:kms:"),
            "{found:#?}"
        );
    }

    fn shared(kind: Kind, attached: Option<&str>) -> Vec<String> {
        let scope = Wanted {
            secrets: vec!["prod/checkout/*".into()],
            readers: vec!["arn:aws:iam::111122223333:role/app".into()],
            rotators: vec!["arn:aws:iam::111122223333:role/rotation".into()],
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            ..Wanted::default()
        };
        let wanted = Document::from_json(scope.policy(kind, &["read"]).unwrap()).unwrap();
        let own = wanted.to_text();
        let attached = attached.map(|text| text.replace("OWN", own.trim()));
        let attached = attached.map(|text| Document::parse(&text).unwrap());
        compare_shared(kind, &wanted, attached.as_ref(), &scope).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_shared_policy_is_the_same_as_itself() {
        for kind in [Kind::Kms, Kind::Resource, Kind::Endpoint] {
            assert_eq!(shared(kind, Some("OWN")), Vec::<String>::new());
        }
    }

    #[test]
    fn without_a_resource_policy_others_of_the_account_read() {
        let found = shared(Kind::Resource, None);
        let line = "too wide: secretsmanager:DeleteSecret, secretsmanager:GetSecretValue, secretsmanager:PutSecretValue, \
                    secretsmanager:UpdateSecret, secretsmanager:UpdateSecretVersionStage on the secret by any other principal";
        assert!(found.iter().any(|found| found == line), "{found:#?}");
        assert!(!found.iter().any(|line| line.contains("other accounts")), "{found:#?}");
    }

    #[test]
    fn the_usual_key_policy_gives_the_key_to_the_account() {
        let usual = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Enable","Effect":"Allow","Action":"kms:*","Resource":"*",
            "Principal":{"AWS":"arn:aws:iam::111122223333:root"}}]}"#;
        let found = shared(Kind::Kms, Some(usual));
        let decrypts =
            |line: &&String| line.contains("kms:Decrypt") && line.contains("by any other principal");
        let line = found.iter().find(decrypts).unwrap_or_else(|| panic!("{found:#?}"));
        assert!(line.starts_with("too wide: ") && line.contains("statement Enable"), "{line}");
    }

    #[test]
    fn a_key_policy_for_another_region_lacks_what_is_needed() {
        let other = shared(Kind::Kms, Some("OWN"));
        assert!(other.is_empty());
        let scope = |region: &str| Wanted {
            secrets: vec!["prod/checkout/db".into()],
            readers: vec!["arn:aws:iam::111122223333:role/app".into()],
            account: "111122223333".into(),
            region: region.into(),
            ..Wanted::default()
        };
        let document =
            |region: &str| Document::from_json(scope(region).policy(Kind::Kms, &[]).unwrap()).unwrap();
        let (wanted, attached) = (document("eu-central-1"), document("us-east-1"));
        let found = compare_shared(Kind::Kms, &wanted, Some(&attached), &scope("eu-central-1"));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["missing: kms:Decrypt on the key by arn:aws:iam::111122223333:role/app"]);
    }

    #[test]
    fn the_default_policy_of_an_endpoint_lets_everybody_do_everything() {
        let found = shared(Kind::Endpoint, None);
        assert!(found.iter().any(|line| line.ends_with("by principals of other accounts")), "{found:#?}");
        assert!(found.iter().all(|line| line.starts_with("too wide: ")), "{found:#?}");
    }

    /// What the services always set is no condition: it holds, or it does not.
    #[test]
    fn keys_that_every_request_has_are_known() {
        let [usual, foreign] = ["111122223333", "999999999999"].map(|account| {
            let own = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Own","Effect":"Allow","Principal":"*",
                "Action":"secretsmanager:*","Resource":"*","Condition":{"StringEquals":{
                "aws:PrincipalAccount":"111122223333","aws:ResourceAccount":"ACCOUNT","aws:RequestedRegion":"eu-central-1",
                "aws:PrincipalType":"AssumedRole"},"Bool":{"aws:SecureTransport":"true"}}}]}"#;
            shared(Kind::Endpoint, Some(&own.replace("ACCOUNT", account)))
        });
        assert!(usual.iter().all(|line| line.starts_with("too wide: secretsmanager")), "{usual:#?}");
        assert!(!usual.iter().any(|line| line.ends_with("other accounts")), "{usual:#?}");
        assert!(foreign.iter().all(|line| line.starts_with("missing: secretsmanager")), "{foreign:#?}");
        assert!(!foreign.is_empty());
    }

    #[test]
    fn a_secret_of_another_account_is_that_accounts() {
        let scope = |account: &str| {
            let arn = format!("arn:aws:secretsmanager:eu-central-1:{account}:secret:shared/db-AbCdEf");
            Wanted { secrets: vec![arn], ..Wanted::default() }
        };
        let wanted = scope("444455556666").policy(Kind::App, &["read"]).unwrap();
        let wanted = Document::from_json(wanted).unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:role/app");
        for (owner, expected) in [("444455556666", 0), ("111122223333", 1)] {
            let mut attached = wanted.json.clone();
            attached["Statement"][0]["Condition"] =
                serde_json::json!({"StringEquals": {"aws:ResourceAccount": owner}});
            let attached = Document::from_json(attached).unwrap();
            let found = compare(&wanted, &[Named { name: "app", document: &attached }], &caller);
            assert_eq!(found.len(), expected, "{found:#?}");
        }
    }

    /// Which organization a secret's account is in cannot be known from here.
    #[test]
    fn what_cannot_be_known_stays_a_condition() {
        let own = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
            "Condition":{"StringEquals":{"aws:ResourceOrgID":"o-a1b2c3d4e5"}}}]}"#;
        let found = shared(Kind::Endpoint, Some(own));
        assert!(
            found.iter().any(|line| line.starts_with("missing: allowed on conditions only")),
            "{found:#?}"
        );
    }
}
