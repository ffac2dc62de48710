//! What policies that are attached allow beyond what is needed, and what they lack.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::condition::Context;
use crate::document::{Document, Scope};
use crate::evaluate::{Caller, Named, Outcome, Policies, Request, evaluate};

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

/// Compares what is needed with what is attached to a principal.
///
/// Each action is tried on one example of every resource that the wanted policy names, and on a secret and a key that it
/// does not.
pub fn compare(wanted: &Document, attached: &[Named<'_>], caller: &Caller) -> Vec<Difference> {
    let mut found: BTreeMap<(bool, bool, String, Option<String>), Vec<&'static str>> = BTreeMap::new();
    let name = [Named { name: "wanted", document: wanted }];
    for (label, example) in examples(wanted, &caller.account) {
        let service = example.split(':').nth(2).unwrap_or_default();
        for action in ACTIONS.iter().copied().filter(|action| action.starts_with(&format!("{service}:"))) {
            let context = Context::open();
            let request = Request {
                caller,
                action,
                resource: &example,
                resource_account: &caller.account,
                context: &context,
            };
            let decide = |identity: &[Named<'_>]| {
                let policies = Policies { identity: identity.to_vec(), ..Policies::default() };
                let decision = evaluate(&request, &policies);
                let because =
                    decision.because.first().or(decision.depends_on.first()).map(ToString::to_string);
                (decision.outcome, because)
            };
            let (needed, _) = decide(&name);
            let (given, because) = decide(attached);
            if needed == given {
                continue;
            }
            let is_wider = given > needed;
            let is_about_conditions = needed != Outcome::Denied && given != Outcome::Denied;
            let because = because.filter(|_| given != Outcome::Denied);
            found.entry((is_wider, is_about_conditions, label.clone(), because)).or_default().push(action);
        }
    }
    let differences =
        found.into_iter().map(|((is_wider, is_about_conditions, resource, because), actions)| Difference {
            is_wider,
            is_about_conditions,
            actions,
            resource,
            because,
        });
    differences.collect()
}

/// Each resource of the policy with one ARN that it matches; then a secret and a key that it does not name.
fn examples(wanted: &Document, account: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let mut region = "us-east-1".to_owned();
    for statement in &wanted.statements {
        let Some(Scope::Only(resources)) = &statement.resource else { continue };
        for resource in resources.iter().filter(|resource| resource.starts_with("arn:")) {
            let example = resource.replace("??????", "AbCdEf").replace('*', "example-AbCdEf");
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
    examples.push(("any other key".into(), other("kms", "key/00000000-0000-0000-0000-000000000000")));
    examples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Kind, Scope as Wanted};

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
}
