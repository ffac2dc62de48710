//! Compares attached policies with what is needed: what they allow beyond it, and what they lack.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::requests::{ANY_OTHER, Circumstances, OF_OTHERS, callers, circumstances};
use super::resources::{
    Example, OTHER_KEY, OTHER_SECRET, Places, actions_on, examples, named_actions, service_of,
};
use crate::condition::Context;
use crate::document::Document;
use crate::evaluate::{Caller, Link, Named, Outcome, Policies, Request, evaluate};
use crate::policy::{Kind, Scope as Wanted};

/// Something that only the attached policies allow, or only the wanted policy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Difference {
    /// Whether the attached policies allow more than needed; otherwise they allow less.
    pub is_wider: bool,
    /// Whether the difference is in conditions: too few or too weak if wider, otherwise too many or too strict.
    pub is_about_conditions: bool,
    /// The actions that differ.
    pub actions: Vec<String>,
    /// The resource: an ARN pattern of the wanted or the attached policy, `any other secret` or `any other key`.
    pub resource: String,
    /// The principal; only for policies of keys, secrets and endpoints.
    pub principal: Option<String>,
    /// The statement that allows it, or the reason why something that the attached policies allow is still denied.
    /// `None` if it is merely missing.
    pub because: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.is_wider, self.is_about_conditions) {
            (true, false) => "too wide",
            (true, true) => "too wide: conditions are missing or too weak",
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

/// Compares what is needed with what is attached to a principal, as limited by its permissions boundary.
///
/// Tries each action of Secrets Manager and KMS on an example of every secret and key that either policy names, and on
/// ones that neither names. Of other services, it tries only actions that are wanted or that give the permissions of
/// others, the latter on a role, a user, a policy and a function that no policy names.
pub fn compare(
    wanted: &Document,
    attached: &[Named<'_>],
    boundary: Option<Named<'_>>,
    caller: &Caller,
) -> Vec<Difference> {
    let name = [Named { name: "wanted", document: wanted }];
    let documents: Vec<_> = attached.iter().map(|named| named.document).collect();
    let resources = wanted.statements.iter().filter_map(|it| it.resource.as_ref()).flat_map(|it| it.listed());
    let mut regions = resources.filter_map(|arn| arn.split(':').nth(3));
    let region = regions.find(|region| !region.is_empty() && !region.contains('*')).unwrap_or("us-east-1");
    let partition = caller.arn.split(':').nth(1).unwrap_or("aws");
    let places = Places::new([partition, region, &caller.account], wanted, &documents);
    let mut found = Found::default();
    for example in examples(wanted, &documents, &places) {
        let circumstances = circumstances(wanted, &documents, &example, caller, &places);
        found.add(&example, None, &circumstances, |action, context, is_wanted| {
            let (identity, boundary) = if is_wanted { (&name[..], None) } else { (attached, boundary) };
            let policies = Policies { identity: identity.to_vec(), boundary, ..Policies::default() };
            decided(caller, action, &example.arn, &caller.account, context, &policies)
        });
    }
    found.differences(wanted, &[])
}

/// Compares the wanted policy of a key, a secret or an endpoint with the attached one. `to` is the ARN of the key or
/// secret; endpoints have none.
///
/// Tries each action as every principal in the scope, as those that the attached policy names, as another one of the
/// account, and as one of another account. All are assumed to have every permission of their own.
pub fn compare_shared(
    kind: Kind,
    wanted: &Document,
    attached: Option<&Document>,
    scope: &Wanted,
    to: &str,
) -> Vec<Difference> {
    const ALL: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let Ok(all) = Document::parse(ALL) else { return Vec::new() };
    let documents: Vec<_> = attached.into_iter().collect();
    let named: Vec<_> = scope.readers.iter().chain(&scope.rotators).chain(&scope.administrators).collect();
    let part = |given: &str, place: usize, or: &str| {
        let arns =
            [to].into_iter().chain(scope.secrets.iter().chain(named.iter().copied()).map(String::as_str));
        let mut parts = arns.filter_map(|arn| arn.split(':').nth(place)).filter(|part| !part.is_empty());
        let of_arns = parts.next().unwrap_or(or);
        if to.starts_with("arn:") || given.is_empty() { of_arns.to_owned() } else { given.to_owned() }
    };
    let (region, owner) = (part(&scope.region, 3, "us-east-1"), part(&scope.account, 4, ""));
    let partition = part(&scope.partition, 1, "aws");
    let places = Places::new([&partition, &region, &owner], wanted, &documents);
    let one = |label: &str| {
        let actions = actions_on(to, &named_actions(wanted, &documents));
        vec![Example { label: label.into(), arn: to.into(), actions }]
    };
    let examples = match kind {
        // In these policies, `*` means the resource they are attached to.
        Kind::Kms => one("the key"),
        Kind::Endpoint => {
            let through = |example: &Example| {
                example.arn == "*" || ["secretsmanager", "kms"].contains(&service_of(&example.arn))
            };
            examples(wanted, &documents, &places).into_iter().filter(through).collect()
        }
        _ => one("the secret"),
    };
    let mut found = Found::default();
    for example in &examples {
        for (who, caller) in &callers(named.iter().copied(), &documents, &places) {
            let circumstances = circumstances(wanted, &documents, example, caller, &places);
            found.add(example, Some(who), &circumstances, |action, context, is_wanted| {
                let document = if is_wanted { Some(wanted) } else { attached };
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
                let account = if kind == Kind::Endpoint { &caller.account } else { &owner };
                decided(caller, action, &example.arn, account, context, &policies)
            });
        }
    }
    found.differences(wanted, &named)
}

/// Decides a request, and returns the statement responsible.
fn decided(
    caller: &Caller,
    action: &str,
    resource: &str,
    resource_account: &str,
    context: &Context,
    policies: &Policies<'_>,
) -> (Outcome, Option<String>) {
    let decision = evaluate(&Request { caller, action, resource, resource_account, context }, policies);
    // The caller's own policy allows everything, so it explains nothing: the compared policy just does not prevent the
    // request.
    let cited = decision.because.iter().chain(&decision.depends_on);
    let because = cited.filter(|cited| cited.policy != "of the caller").map(ToString::to_string).next();
    // A missing allow needs no explanation, unless only the boundary lacks it.
    let boundary = policies.boundary.filter(|_| decision.missing == [Link::Boundary]);
    let kept_out =
        boundary.map(|boundary| format!("not allowed by the {} {}", Link::Boundary, boundary.name));
    (decision.outcome, because.or(kept_out))
}

/// The differences found so far, each with its actions.
#[derive(Default)]
struct Found(BTreeMap<Kept, BTreeSet<String>>);

/// A difference without its actions: the two flags, the principal, the resource and the statement.
type Kept = (bool, bool, Option<String>, String, Option<String>);

impl Found {
    /// Tries the actions of an example. `decide` evaluates a request against the wanted policy or what is attached.
    fn add(
        &mut self,
        Example { label, actions, .. }: &Example,
        principal: Option<&String>,
        circumstances: &[Circumstances],
        decide: impl Fn(&str, &Context, bool) -> (Outcome, Option<String>),
    ) {
        for action in actions {
            let decided: Vec<_> = circumstances
                .iter()
                .map(|it| [true, false].map(|side| decide(action, &it.context, side)))
                .collect();
            let is_ever_needed = decided.iter().any(|[(needed, _), _]| *needed != Outcome::Denied);
            for ([(needed, _), (given, because)], it) in decided.into_iter().zip(circumstances) {
                let is_wider = given > needed;
                if given == needed || !is_wider && !it.is_usual {
                    continue;
                }
                let is_about_conditions = if is_wider { is_ever_needed } else { given != Outcome::Denied };
                let is_denial = |because: &String| given == Outcome::Denied && because.contains(' ');
                let because = because.filter(|because| is_wider || is_denial(because));
                let key = (is_wider, is_about_conditions, principal.cloned(), label.clone(), because);
                self.0.entry(key).or_default().insert(action.clone());
            }
        }
    }

    /// Returns the differences. If any other resource or principal has the same one, leaves out those for a resource or
    /// principal that only the attached policies name.
    fn differences(self, wanted: &Document, named: &[&String]) -> Vec<Difference> {
        let resources = wanted.statements.iter().filter_map(|it| it.resource.as_ref());
        let resources: BTreeSet<_> = resources.flat_map(|it| it.listed()).collect();
        let is_shared = |kept: &Kept, actions: &BTreeSet<String>| {
            let (is_wider, is_about_conditions, principal, resource, because) = kept;
            let any_resource = resource.contains(':') && !resources.contains(resource);
            let is_any = |who: &String| [ANY_OTHER, OF_OTHERS].contains(&who.as_str());
            let any_principal = principal.as_ref().is_some_and(|who| !is_any(who) && !named.contains(&who));
            let others = [OTHER_SECRET, OTHER_KEY].iter().filter(|_| any_resource).copied();
            let all = [ANY_OTHER, OF_OTHERS].iter().filter(|_| any_principal).map(|who| Some(*who));
            let all: Vec<_> = all.chain([principal.as_deref()]).collect();
            others.chain([resource.as_str()]).any(|other| {
                all.iter().any(|who| {
                    let who = who.map(str::to_owned);
                    let key = (*is_wider, *is_about_conditions, who, other.to_owned(), because.clone());
                    key != *kept && self.0.get(&key).is_some_and(|shared| shared.is_superset(actions))
                })
            })
        };
        let all = self.0.iter().filter(|(kept, actions)| !is_shared(kept, actions));
        let difference = |(kept, actions): (&Kept, &BTreeSet<String>)| {
            let (is_wider, is_about_conditions, principal, resource, because) = kept.clone();
            let actions = actions.iter().cloned().collect();
            Difference { is_wider, is_about_conditions, actions, resource, principal, because }
        };
        all.map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/k";

    fn wanted() -> Document {
        let scope = Wanted {
            secrets: vec!["prod/checkout/*".into()],
            keys: vec![KEY.into()],
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
        compare(&wanted(), &named, None, &caller).iter().map(ToString::to_string).collect()
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
    fn what_names_no_resource_is_missing_where_it_is_allowed_on_a_secret_alone() {
        let scope = Wanted {
            secrets: vec!["prod/checkout/*".into()],
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            ..Wanted::default()
        };
        let wanted = scope.policy(Kind::Rotation, &["rotate-single-user"]).unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:role/rotation");
        let said = |change: fn(&mut serde_json::Value)| {
            let mut attached = wanted.clone();
            let all = attached["Statement"].as_array_mut().unwrap();
            let at = all.iter().position(|it| it["Sid"] == "RandomPassword").unwrap();
            change(&mut all[at]);
            let (wanted, attached) =
                (Document::from_json(wanted.clone()).unwrap(), Document::from_json(attached).unwrap());
            let named = [Named { name: "own", document: &attached }];
            let found = compare(&wanted, &named, None, &caller);
            found.iter().filter(|it| !it.is_wider).map(ToString::to_string).collect::<Vec<_>>()
        };
        let missing = ["missing: secretsmanager:GetRandomPassword on *"];
        assert_eq!(said(|_| ()), [""; 0]);
        assert_eq!(said(|it| it["Action"] = "secretsmanager:Get".into()), missing);
        assert_eq!(
            said(|it| it["Resource"] =
                "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/*".into()),
            missing
        );
    }

    #[test]
    fn rights_by_way_of_others_are_too_wide() {
        let mut open = wanted().json;
        let statements = open["Statement"].as_array_mut().unwrap();
        statements.push(serde_json::json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}));
        let line = "too wide: iam:PassRole on any other role (identity policy app, statement 4)";
        assert_eq!(differences(&open.to_string()), [line]);
    }

    #[test]
    fn what_a_boundary_takes_away_is_missing() {
        let boundary = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}"#;
        let boundary = Document::parse(boundary).unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:role/app");
        let (wanted, limit) = (wanted(), Named { name: "limit", document: &boundary });
        let named = [Named { name: "app", document: &wanted }];
        let found = compare(&wanted, &named, Some(limit), &caller);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("missing: kms:Decrypt on arn:aws:kms:"), "{found:#?}");
        assert!(found[0].ends_with("(not allowed by the permissions boundary limit)"), "{found:#?}");
    }

    #[test]
    fn every_action_that_is_wanted_is_compared() {
        let scope = Wanted {
            secrets: vec!["prod/checkout/*".into()],
            functions: vec!["rotate".into()],
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            ..Wanted::default()
        };
        let wanted = scope.policy(Kind::Operator, &["schedule", "audit"]).unwrap();
        let wanted = Document::from_json(wanted).unwrap();
        let caller = Caller::from_arn("arn:aws:iam::111122223333:role/operator");
        let named = |document| [Named { name: "own", document }];
        assert!(compare(&wanted, &named(&wanted), None, &caller).is_empty());
        let empty = Document::parse(r#"{"Version":"2012-10-17","Statement":[]}"#).unwrap();
        let found = compare(&wanted, &named(&empty), None, &caller);
        let missing: BTreeSet<_> = found.iter().flat_map(|it| &it.actions).cloned().collect();
        let all: BTreeSet<_> = wanted.statements.iter().flat_map(|it| it.action.listed()).cloned().collect();
        assert_eq!(missing, all);
    }

    #[test]
    fn a_key_without_conditions_is_distinguished_from_one_that_is_missing() {
        let mut open = wanted().json;
        let statements = open["Statement"].as_array_mut().unwrap();
        let decrypt = statements.iter_mut().find(|it| it["Action"] == "kms:Decrypt").unwrap();
        decrypt.as_object_mut().unwrap().remove("Condition");
        let found = differences(&open.to_string());
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with("too wide: conditions are missing or too weak: kms:Decrypt on arn:aws:kms:"),
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
        let wanted = Document::from_json(scope.policy(kind, &[]).unwrap()).unwrap();
        let own = wanted.to_text();
        let attached = attached.map(|text| text.replace("OWN", own.trim()));
        let attached = attached.map(|text| Document::parse(&text).unwrap());
        let to = match kind {
            Kind::Kms => KEY,
            Kind::Resource => {
                "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/checkout/db-AbCdEf"
            }
            _ => "vpce-0",
        };
        let found = compare_shared(kind, &wanted, attached.as_ref(), &scope, to);
        found.iter().map(ToString::to_string).collect()
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
        let found = compare_shared(Kind::Kms, &wanted, Some(&attached), &scope("eu-central-1"), KEY);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        let reads = "kms:Decrypt on the key by arn:aws:iam::111122223333:role/app";
        assert_eq!(found[0], format!("missing: {reads}"));
        assert!(found[1].starts_with(&format!("too wide: conditions are missing or too weak: {reads}")));
        assert_eq!(found.len(), 2, "{found:#?}");
    }

    #[test]
    fn the_default_policy_of_an_endpoint_lets_everybody_do_everything() {
        let found = shared(Kind::Endpoint, None);
        assert!(found.iter().any(|line| line.ends_with("by principals of other accounts")), "{found:#?}");
        assert!(found.iter().all(|line| line.starts_with("too wide: ")), "{found:#?}");
    }

    /// Keys that the services always set are known, so a condition on one either holds or does not.
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
        let own: Vec<_> = foreign.iter().filter(|line| line.contains(":secret:prod/checkout/*")).collect();
        assert!(own.iter().all(|line| line.starts_with("missing: secretsmanager")), "{foreign:#?}");
        assert!(!own.is_empty());
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
            let found = compare(&wanted, &[Named { name: "app", document: &attached }], None, &caller);
            assert_eq!(found.len(), expected, "{found:#?}");
        }
    }

    /// The organization of a secret's account cannot be known from here.
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
